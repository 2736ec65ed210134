#include "executor.h"

#include <utility>

namespace gradcam {

void Executor::submit(Job job) {
  std::lock_guard lock(mutex_);
  if (stopping_) return;
  if (!thread_.joinable()) thread_ = std::thread([this] { loop(); });
  waiting_.push_back(std::move(job));
  wake_.notify_one();
}

void Executor::stop() {
  std::deque<Job> dropped;  // destroyed outside the lock: a job may own anything
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    if (running_) running_->cancel();
    dropped.swap(waiting_);
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
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
    }
    job.run();
  }
}

}  // namespace gradcam
