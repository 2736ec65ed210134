#pragma once
#include <torch/types.h>

#include <algorithm>
#include <optional>

#include "core/base/parallel.h"

namespace gradcam {

// How a dense tensor [N, C, ...] lies in memory: as planes of one channel each, or as rows of all channels
// (channels-last).
struct Planes {
  bool rows;
  int64_t channels, length, count;  // `length` elements in each plane or row

  // For work that does not depend on the channel: one plane.
  static Planes whole(const torch::Tensor& tensor) { return {false, 1, tensor.numel(), 1}; }

  // In parallel on the intra-op threads: `plane(offset, count, channel)`, or `row(offset, count)`.
  template <typename Plane, typename Row>
  void for_each(const Plane& plane, const Row& row) const {
    constexpr int64_t kGrain = 32768;
    if (count == 1 && !rows) {
      parallel_for(0, length, kGrain, [&](int64_t begin, int64_t end) { plane(begin, end - begin, 0); });
      return;
    }
    parallel_for(0, count, std::max<int64_t>(1, kGrain / length), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        if (rows)
          row(i * length, length);
        else
          plane(i * length, length, i % channels);
    });
  }
};

// None for any other layout, and for no elements.
inline std::optional<Planes> planes_of(const torch::Tensor& tensor) {
  if (tensor.dim() < 2 || tensor.numel() == 0) return std::nullopt;
  const auto channels = tensor.size(1);
  if (tensor.is_contiguous()) {
    const auto count = tensor.size(0) * channels;
    return Planes{false, channels, tensor.numel() / count, count};
  }
  if (tensor.dim() == 4 && tensor.is_contiguous(at::MemoryFormat::ChannelsLast))
    return Planes{true, channels, channels, tensor.numel() / channels};
  return std::nullopt;
}

}  // namespace gradcam
