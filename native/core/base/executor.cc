#include "executor.h"

#include <chrono>
#include <utility>

namespace gradcam {

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

}  // namespace

void Executor::submit(Job job) {
  std::lock_guard lock(mutex_);
  if (stopping_) return;
  if (!thread_.joinable()) thread_ = std::thread([this] { loop(); });
  waiting_.push_back(std::move(job));
  called_ = true;
  wake_.notify_one();
}

void Executor::stop() {
  std::deque<Job> dropped;  // destroyed outside the lock: a job may own anything
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    called_ = true;
    if (running_) running_->cancel();
    dropped.swap(waiting_);
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void Executor::spin_briefly() const {
  if (std::thread::hardware_concurrency() < 2) return;  // the caller needs this processor
  const auto end = std::chrono::steady_clock::now() + kSpin;
  while (!called_ && std::chrono::steady_clock::now() < end) relax_processor();
}

void Executor::loop() {
  for (;;) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      running_.reset();
      wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (stopping_) return;
      job = std::move(waiting_.front());
      waiting_.pop_front();
      running_ = job.cancel;
      called_ = !waiting_.empty();
    }
    job.run();
    job = {};  // frees what it holds before the wait
    spin_briefly();
  }
}

}  // namespace gradcam
