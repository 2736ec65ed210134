#pragma once
#include <torch/types.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace gradcam {

// Some channels of a concatenation, in memory of their own: rows of `channels` floats, one for each pixel.
struct ChannelSource {
  const float* data;
  int64_t first, channels;
};

// Whether our kernels can read it: channels-last float32 on the CPU, without gaps.
inline bool is_dense(const torch::Tensor& tensor) {
  return tensor.defined() && tensor.is_cpu() && tensor.scalar_type() == at::kFloat && tensor.layout() == at::kStrided &&
         tensor.dim() == 4 && tensor.numel() > 0 && tensor.is_contiguous(at::MemoryFormat::ChannelsLast) &&
         !tensor.is_neg() && !tensor._is_zerotensor();
}

// Of the concatenation of `inputs` over channels. None if one of them is not dense, or has other sizes.
inline std::optional<std::vector<ChannelSource>> channel_sources(at::TensorList inputs) {
  std::vector<ChannelSource> sources;
  int64_t channels = 0;
  for (const auto& input : inputs) {
    if (!is_dense(input) || input.size(0) != inputs[0].size(0) || input.size(2) != inputs[0].size(2) ||
        input.size(3) != inputs[0].size(3))
      return {};
    sources.push_back({input.const_data_ptr<float>(), channels, input.size(1)});
    channels += input.size(1);
  }
  if (sources.empty()) return {};
  return sources;
}

// What a kernel takes instead of all that is below it.
inline float floor_of(bool relu) { return relu ? 0 : -std::numeric_limits<float>::infinity(); }

}  // namespace gradcam
