#pragma once
#include <torch/types.h>

namespace gradcam {

// relu(input), float32, dense, on the CPU. `open` has the input's sizes and strides, uint8: 1 where the gradient
// passes, 0 where the input is zero or less. NaN stays NaN and passes, as in LibTorch.
struct MaskedRelu {
  torch::Tensor result, open;
};
MaskedRelu relu_with_mask(const torch::Tensor& input);
// The same, where `input` becomes the result.
torch::Tensor relu_with_mask_(const torch::Tensor& input);

}  // namespace gradcam
