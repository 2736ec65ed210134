#pragma once
#include <chrono>
#include <functional>
#include <memory>
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

  // How long the end of an executor waits for a job that does not look at its flag: an operator cannot be interrupted.
  static constexpr std::chrono::seconds kLongestWait{5};

  Executor();
  ~Executor() { wait_for_end(std::chrono::steady_clock::now() + kLongestWait); }
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // The first job starts the thread, so that a process which runs nothing has none.
  void submit(Job job);

  // Cancels the running job and drops the waiting ones. Safe to call twice.
  void stop();

  // The same, and returns when the thread has ended, at the latest at `until`. A thread that goes on then is left to
  // itself: see abandoned_threads.h.
  void wait_for_end(std::chrono::steady_clock::time_point until);

 private:
  struct State;  // shared with the thread, which may outlive the executor

  static void loop(State& state);

  std::shared_ptr<State> state_;
  std::thread thread_;
};

}  // namespace gradcam
