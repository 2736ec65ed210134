#include "method.h"

namespace gradcam {

// Shapley-CAM: w_k = mean over space of (G - H A / 2)_k, with H the Hessian of the score at A, map = max(sum_k w_k A_k,
// 0). Cai 2025, "CAMs as Shapley Value-based Explainers", arXiv:2501.06261, equation 14. It is Grad-CAM where what
// follows the layer is linear in A, or piecewise so (ReLU, max pooling).
Tensor shapley_cam(const LayerEvidence& e) {
  return e.activation * over_space(mean_over_space(e.gradient - 0.5 * e.curvature), e.activation);
}

}  // namespace gradcam
