#include "parallel.h"

#include <ATen/Parallel.h>
#include <ATen/TensorIterator.h>
#include <torch/types.h>

#include <algorithm>
#include <atomic>

namespace gradcam {

namespace {

constexpr int64_t kMostParts = 1024;

// A byte for each part that work can be divided into. It is only ever addressed.
const torch::Tensor& part_bytes() {
  static const auto bytes = at::zeros({kMostParts}, at::kByte);
  return bytes;
}

#if defined(__SANITIZE_THREAD__)
// ThreadSanitizer does not see how threads of OpenMP, which is not built with it, are given work and give it back.
std::atomic<int> handover{0};
void give() { handover.fetch_add(1, std::memory_order_release); }
void take() { handover.load(std::memory_order_acquire); }
#else
void give() {}
void take() {}
#endif

}  // namespace

void parallel_for(int64_t begin, int64_t end, int64_t grain, c10::function_ref<void(int64_t, int64_t)> work) {
  if (begin >= end) return;
  const int64_t count = end - begin, least = std::max<int64_t>(1, grain);
  const int64_t most = at::in_parallel_region() ? 1 : std::min<int64_t>(at::get_num_threads(), kMostParts);
  const int64_t parts = std::min(most, (count + least - 1) / least);
  if (parts == 1) {
    work(begin, end);
    return;
  }
  // LibTorch divides the elements of an operator among its threads: here one element is one part.
  const at::NoGradGuard no_graph;
  auto bytes = part_bytes().narrow(0, 0, parts);
  const auto* first = static_cast<const char*>(bytes.const_data_ptr());
  auto iterator = at::TensorIterator::nullary_op(bytes);
  // Made before it is given: what it captures is written here and read by the other threads.
  const auto run_parts = [&](char** data, const int64_t*, int64_t columns, int64_t rows) {
    take();
    const int64_t part = data[0] - first, elements = columns * rows;
    work(begin + count * part / parts, begin + count * (part + elements) / parts);
    give();
  };
  give();
  iterator.for_each(run_parts, /*grain_size=*/1);
  take();
}

}  // namespace gradcam
