#pragma once
#include <torch/types.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "tile_product.h"
#include "tiled_convolution.h"

namespace gradcam {

// Some channels of a concatenation, in memory of their own: rows of `channels` floats, one for each pixel.
struct ChannelSource {
  const float* data;
  int64_t first, channels;
};

// What convolutions by kernels of our own share while they run: sizes, and where everything lies.
struct ConvolutionRun {
  const TileProduct& product;
  std::vector<ChannelSource> sources;
  const float *scale, *shift;  // before the convolution, may be null
  float floor_before;
  const float *bias, *residual;  // after it, may be null
  float floor_after;
  int64_t batch, channels, height, width;  // of the input
  int64_t outputs, out_height, out_width;  // of the output
  float* to = nullptr;

  // None for inputs that are not dense channels-last float32, or where LibTorch would report an error. `bias` may be
  // undefined. What it is made of has to outlive it.
  static std::optional<ConvolutionRun> make(at::TensorList inputs, at::IntArrayRef weight, const torch::Tensor& bias,
                                            const ConvolutionShape& shape, const ConvolutionSurroundings& around);

  // The memory that the run writes to.
  torch::Tensor allocate_output(const torch::TensorOptions& options);

  int64_t panels() const { return (outputs + product.columns - 1) / product.columns; }

  // `fn(source, from, until)` for each source that has some of the channels [begin, begin + count).
  template <typename Fn>
  void for_each_source(int64_t begin, int64_t count, const Fn& fn) const {
    for (const auto& source : sources) {
      const int64_t from = std::max(begin, source.first);
      const int64_t until = std::min(begin + count, source.first + source.channels);
      if (from < until) fn(source, from, until);
    }
  }
};

}  // namespace gradcam
