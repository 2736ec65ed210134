#include "executor.h"

#include <chrono>
#include <utility>

namespace gradcam {

namespace {

// Who awaits a result and then asks for the next is back within this time. A thread that fell asleep meanwhile takes
// about half of it to wake, on virtual machines, and comes back to a processor that has slowed down.
constexpr std::chrono::microseconds kLookout{100};

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

void Executor::look_out() const {
  if (std::thread::hardware_concurrency() < 2) return;  // the caller needs this very processor
  const auto end = std::chrono::steady_clock::now() + kLookout;
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
    job = {};  // what it holds ends before the wait
    look_out();
  }
}

}  // namespace gradcam
