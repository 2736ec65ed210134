#pragma once
#include <torch/script.h>

#include <vector>

namespace gradcam {

// cat(inputs, 1) * scale + shift, and where wanted its ReLU, with scale and shift float32 [C], C all channels together:
// what a batch norm with fixed statistics makes of a concatenation. Memory is read once and written once, also by
// the gradient, which has a graph of its own where the grad mode asks for one.
torch::Tensor fixed_batch_norm(const std::vector<torch::Tensor>& inputs, const torch::Tensor& scale,
                               const torch::Tensor& shift, bool relu);

}  // namespace gradcam
