#include "method.h"

namespace gradcam {

// Grad-CAM: w_k = mean over space of G_k, map = max(sum_k w_k A_k, 0).
// Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization",
// arXiv:1610.02391, equations 1 and 2.
Tensor grad_cam(const Tensor& activation, const Tensor& gradient) {
  const auto weights = gradient.flatten(2).mean(-1);  // [N, C]
  auto shape = weights.sizes().vec();
  shape.resize(static_cast<size_t>(activation.dim()), 1);
  return (activation * weights.reshape(shape)).sum(1, /*keepdim=*/true).relu_();
}

}  // namespace gradcam
