#pragma once
#include <string>
#include <vector>

#include "autograd_node.h"

namespace gradcam {

// The operators without a derivative that lie between a score and what it is differentiated by, in a recorded graph:
// "quantized::linear_dynamic". What passes through them would be missing from the gradient; LibTorch only warns of
// that.
std::vector<std::string> operators_without_gradient(const torch::Tensor& score,
                                                    const std::vector<torch::Tensor>& differentiated_by);

}  // namespace gradcam
