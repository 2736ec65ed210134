#pragma once
#include <torch/csrc/autograd/function.h>

#include "core/base/ivalues.h"

namespace gradcam {

// Throws ERR_ACTIVATION unless every node of the score's autograd graph is linear in what depends on the input, or has
// a rescale rule. Softmax, a layer norm or a product of two activations has neither: with the plain gradient there, the
// attributions would not add up to the difference of the scores.
void require_linear_or_ruled(const Tensor& score);

// Whether a node is linear in what depends on the input: a batch norm with fixed statistics is, with a constant.
bool is_linear(const torch::autograd::Node& node);

}  // namespace gradcam
