#pragma once
#include <atomic>
#include <exception>
#include <memory>

namespace gradcam {

// Thrown between the steps of a job whose caller gave up on it.
struct Cancelled : std::exception {
  const char* what() const noexcept override { return "cancelled"; }
};

// Shared by the caller, who may set it at any time, and the job, which looks at it before every module it calls.
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
