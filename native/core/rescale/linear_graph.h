#pragma once
#include <torch/csrc/autograd/function.h>

#include <string_view>

#include "core/base/ivalues.h"

namespace gradcam {

// Throws ERR_ACTIVATION unless every node of the score's autograd graph is linear in what depends on the input, or has
// a rescale rule. Softmax, a layer norm or a product of two activations has neither: with the plain gradient there, the
// attributions would not add up to the difference of the scores.
void require_linear_or_ruled(const Tensor& score);

// Whether each element of what an operator returns is an element of one of its tensors, or a constant: views, copies,
// selections, paddings, nearest upsampling. `node`: the base name of its autograd node, "View" for ViewBackward0.
bool moves_elements(std::string_view node);

// Whether a node is linear in what depends on the input: a batch norm with fixed statistics is, with a constant.
bool is_linear(const torch::autograd::Node& node);

}  // namespace gradcam
