#pragma once
#include <atomic>
#include <exception>
#include <memory>

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

 private:
  std::atomic<bool> cancelled_{false};
};

using CancelFlagPtr = std::shared_ptr<CancelFlag>;

}  // namespace gradcam
