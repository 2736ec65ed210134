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

// The operator that a text of LibTorch names: "quantized::linear_dynamic" in "quantized::linear_dynamic: an autograd
// kernel was not registered", or in "derivative for aten::x is not implemented", with and without quotes. "an operator"
// where it names none.
std::string operator_named_in(const std::string& text);

}  // namespace gradcam
