#pragma once
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "cancel.h"

namespace gradcam {

// One thread that runs jobs one after another, in the order in which they were submitted.
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

  // The first job starts the thread, so that a process which runs nothing has none.
  void submit(Job job);

  // Cancels the running job, drops the waiting ones, and returns when the thread has ended. Safe to call twice.
  void stop();

 private:
  void loop();
  void spin_briefly() const;  // until the next job, at most for a moment

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> waiting_;
  CancelFlagPtr running_;
  bool stopping_ = false;
  std::atomic<bool> called_{false};  // there is a waiting job, or the end: read without the lock while spinning
  std::thread thread_;
};

}  // namespace gradcam
