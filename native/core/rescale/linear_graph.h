#pragma once
#include "core/base/ivalues.h"

namespace gradcam {

// Throws ERR_ACTIVATION unless every node of the score's autograd graph is linear in what depends on the input, or has
// a rescale rule. Softmax, a layer norm or a product of two activations has neither: with the plain gradient there, the
// attributions would not add up to the difference of the scores.
void require_linear_or_ruled(const Tensor& score);

}  // namespace gradcam
