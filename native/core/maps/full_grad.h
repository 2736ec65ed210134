#pragma once
#include <vector>

#include "core/base/ivalues.h"

namespace gradcam {

struct BiasEvidence {
  Tensor bias;      // [C]
  Tensor gradient;  // of the score at the layer's output, [N, C, spatial...]
};

// FullGrad's map of an input x [N, C, spatial...] with the gradient dx: [N, 1, spatial...] in [0, 1].
Tensor full_grad(const std::vector<BiasEvidence>& layers, const Tensor& input, const Tensor& input_gradient);

}  // namespace gradcam
