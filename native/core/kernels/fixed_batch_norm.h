#pragma once
#include <torch/script.h>

#include <vector>

namespace gradcam {

// cat(inputs, 1) * scale + shift, with an optional ReLU, where scale and shift are float32 [C], C all channels
// together: a batch norm with fixed statistics of a concatenation. Memory is read once and written once, also by the
// gradient, which records a graph where the grad mode is enabled.
torch::Tensor fixed_batch_norm(const std::vector<torch::Tensor>& inputs, const torch::Tensor& scale,
                               const torch::Tensor& shift, bool relu);

}  // namespace gradcam
