#include "method.h"

namespace gradcam {

// XGrad-CAM: w_k = sum_ij G_k A_k / sum_ij A_k, map = max(sum_k w_k A_k, 0).
// Fu et al. 2020, "Axiom-based Grad-CAM: Towards Accurate Visualization and Explanation of CNNs", arXiv:2008.02312,
// equation 7. pytorch-grad-cam adds 1e-7 to the denominator; so do we.
Tensor xgrad_cam(const LayerEvidence& e) {
  const auto share = e.activation / (over_space(sum_over_space(e.activation), e.activation) + 1e-7);
  return e.activation * over_space(sum_over_space(e.gradient * share), e.activation);
}

}  // namespace gradcam
