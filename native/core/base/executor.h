#pragma once
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "cancel.h"

namespace gradcam {

// One thread that runs jobs in the order in which they came. LibTorch's own intra-op threads do the parallel part, so a
// second executor thread would only compete with them.
class Executor {
 public:
  struct Job {
    std::function<void()> run;  // must not throw
    CancelFlagPtr cancel;
  };

  Executor() = default;
  ~Executor() { stop(); }
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Starts the thread at the first job, so that a process which never runs anything never has it.
  void submit(Job job);

  // Cancels what runs, drops what waits, and returns when the thread has ended. Safe to call twice.
  void stop();

 private:
  void loop();
  void look_out() const;  // for the next call, awake, for a moment

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> waiting_;
  CancelFlagPtr running_;
  bool stopping_ = false;
  std::atomic<bool> called_{false};  // something waits: for one who looks without the lock
  std::thread thread_;
};

}  // namespace gradcam
