#include <ATen/CPUGeneratorImpl.h>

#include "method.h"

namespace gradcam {

// Random CAM: w_k uniform in [-1, 1), map = max(sum_k w_k A_k, 0): the baseline that any method has to beat. It does
// not depend on the target. The numbers come from the seed alone, on any device, and every image has the same ones, so
// that its map does not depend on the batch that it is in.
Tensor random_cam(const LayerEvidence& e) {
  const auto generator = at::make_generator<at::CPUGeneratorImpl>(e.seed);
  const auto weights = at::rand({1, e.activation.size(1)}, generator, at::TensorOptions(at::kDouble)) * 2 - 1;
  return e.activation * over_space(weights.to(e.activation.options()), e.activation);
}

}  // namespace gradcam
