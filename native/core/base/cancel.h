#pragma once
#include <atomic>
#include <exception>
#include <memory>

#include "run_count.h"

namespace gradcam {

// Thrown between the steps of a job that its caller cancelled.
struct Cancelled : std::exception {
  const char* what() const noexcept override { return "cancelled"; }
};

// Shared by the caller, which may set it at any time, and the job, which checks it before every module that it calls.
class CancelFlag {
 public:
  void cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }
  void check() const {
    if (cancelled()) throw Cancelled();
  }

  // Counted by the job, which has the flag as a constant.
  RunCount& runs() const { return runs_; }

 private:
  std::atomic<bool> cancelled_{false};
  mutable RunCount runs_;
};

using CancelFlagPtr = std::shared_ptr<CancelFlag>;

}  // namespace gradcam
