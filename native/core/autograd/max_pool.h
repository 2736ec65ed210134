#pragma once
#include <torch/types.h>

namespace gradcam {

// at::max_pool2d, for images that core/kernels/max_pool.h serves in a third of the time. The output and the gradient
// are the same to the last bit: the node that is recorded is LibTorch's own. Everything else is passed to
// at::max_pool2d.
torch::Tensor max_pool(const torch::Tensor& input, at::IntArrayRef kernel, at::IntArrayRef stride,
                       at::IntArrayRef padding, at::IntArrayRef dilation, bool ceil_mode);

}  // namespace gradcam
