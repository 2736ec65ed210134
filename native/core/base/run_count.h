#pragma once
#include <atomic>
#include <cstdint>

namespace gradcam {

// How many runs of the model a job that needs many of them has done, and how many it needs as far as is known. The job
// counts; its caller may look at any time.
class RunCount {
 public:
  // So many more are needed.
  void expect(int64_t runs) { total_.store(done() + runs, std::memory_order_relaxed); }
  void add(int64_t runs) { done_.fetch_add(runs, std::memory_order_relaxed); }

  int64_t done() const { return done_.load(std::memory_order_relaxed); }
  // 0 where the job counts none.
  int64_t total() const { return total_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> done_{0}, total_{0};
};

}  // namespace gradcam
