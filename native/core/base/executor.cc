#include "executor.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

#include "abandoned_threads.h"

namespace gradcam {

struct Executor::State {
  std::mutex mutex;
  std::condition_variable wake, ended_now;
  std::deque<Job> waiting;
  CancelFlagPtr running;
  bool stopping = false, ended = false, abandoned = false;
  std::atomic<bool> called{false};  // there is a waiting job, or the end: read without the lock while spinning
};

namespace {

// A caller that awaits each result submits its next job within this time. A thread that sleeps instead takes about half
// of it to wake, on virtual machines, and wakes on a processor that has slowed down.
constexpr std::chrono::microseconds kSpin{100};

void relax_processor() {
#if defined(__x86_64__) || defined(_M_X64)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Until the next job, at most for a moment.
void spin_briefly(const std::atomic<bool>& called) {
  if (std::thread::hardware_concurrency() < 2) return;  // the caller needs this processor
  const auto end = std::chrono::steady_clock::now() + kSpin;
  while (!called && std::chrono::steady_clock::now() < end) relax_processor();
}

}  // namespace

Executor::Executor() : state_(std::make_shared<State>()) {}

void Executor::submit(Job job) {
  std::lock_guard lock(state_->mutex);
  if (state_->stopping) return;
  if (!thread_.joinable()) {
    thread_ = std::thread([state = state_] {
      loop(*state);
      std::lock_guard ending(state->mutex);
      state->ended = true;
      if (state->abandoned) abandoned_thread_ended();
      state->ended_now.notify_all();
    });
  }
  state_->waiting.push_back(std::move(job));
  state_->called = true;
  state_->wake.notify_one();
}

void Executor::stop() {
  std::deque<Job> dropped;  // destroyed outside the lock: a job may own anything
  std::lock_guard lock(state_->mutex);
  state_->stopping = true;
  state_->called = true;
  if (state_->running) state_->running->cancel();
  dropped.swap(state_->waiting);
  state_->wake.notify_one();
}

void Executor::wait_for_end(std::chrono::steady_clock::time_point until) {
  stop();
  if (!thread_.joinable()) return;
  std::unique_lock lock(state_->mutex);
  if (state_->ended_now.wait_until(lock, until, [this] { return state_->ended; })) {
    lock.unlock();
    thread_.join();
  } else {
    state_->abandoned = true;
    abandon_thread();
    thread_.detach();
  }
}

void Executor::loop(State& state) {
  for (;;) {
    Job job;
    {
      std::unique_lock lock(state.mutex);
      state.running.reset();
      state.wake.wait(lock, [&] { return state.stopping || !state.waiting.empty(); });
      if (state.stopping) return;
      job = std::move(state.waiting.front());
      state.waiting.pop_front();
      state.running = job.cancel;
      state.called = !state.waiting.empty();
    }
    job.run();
    job = {};  // frees what it holds before the wait
    spin_briefly(state.called);
  }
}

}  // namespace gradcam
