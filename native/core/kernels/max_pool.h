#pragma once
#include <torch/types.h>

#include <optional>

namespace gradcam {

struct PooledPlanes {
  torch::Tensor maxima, indices;  // of aten::max_pool2d_with_indices
};

// Max-pooling of contiguous float32 images on the CPU, without a graph: LibTorch's maxima and indices to the last bit,
// NaN and ties included, in a third of the time. None for other arguments.
std::optional<PooledPlanes> max_pool_planes(const torch::Tensor& input, at::IntArrayRef kernel, at::IntArrayRef stride,
                                            at::IntArrayRef padding, at::IntArrayRef dilation, bool ceil_mode);

}  // namespace gradcam
