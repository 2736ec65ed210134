#include "method.h"

namespace gradcam {

// Grad-CAM: w_k = mean over space of G_k, map = max(sum_k w_k A_k, 0).
// Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization",
// arXiv:1610.02391, equations 1 and 2.
Tensor grad_cam(const LayerEvidence& e) { return e.activation * over_space(mean_over_space(e.gradient), e.activation); }

}  // namespace gradcam
