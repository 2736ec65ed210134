#pragma once
#include <memory>
#include <vector>

#include "core/base/executor.h"

namespace gradcam::node {

// The executors of one environment, each with a thread of its own: of models, which are loaded and run there, so that
// these run side by side, one of operators, and one of images. Used on the JavaScript thread alone.
//
// The JavaScript thread, the executor of operators and the one of images have no intra-op threads but themselves: each
// thread that opens a parallel region gets a team of its own from OpenMP, and once the teams have more threads than
// there are cores, their threads sleep after every operator, a fifth of a pass.
class ExecutorPool {
 public:
  ExecutorPool();

  Executor& operators();
  // Brings images to a model's size and draws maps on them, beside the models.
  Executor& images();
  // For a model: one that no model holds any longer, or a new one. `threads` are its intra-op threads, 0 for the
  // environment's number.
  std::shared_ptr<Executor> take(int threads);

  // The intra-op threads of every executor that was not given a number of its own.
  int threads() const { return threads_; }
  void set_threads(int threads);

  // Cancels what runs and ends the threads, which takes at most Executor::kLongestWait for all of them. What is
  // submitted afterwards never runs.
  void stop();

 private:
  struct Owned {
    std::shared_ptr<Executor> executor;
    int threads;  // 0: the environment's number
  };

  std::vector<Owned> all_;
  std::shared_ptr<Executor> operators_, images_;
  int threads_;
  bool stopped_ = false;
};

}  // namespace gradcam::node
