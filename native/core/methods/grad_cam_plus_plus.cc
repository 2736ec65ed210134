#include "method.h"

namespace gradcam {

// Grad-CAM++: w_k = sum_ij a_k,ij max(G_k,ij, 0) with a = G^2 / (2 G^2 + (sum_ij A_k) G^3), map = max(sum_k w_k A_k,
// 0). Chattopadhay et al. 2018, "Grad-CAM++: Improved Visual Explanations for Deep Convolutional Networks",
// arXiv:1710.11063, equations 7 and 19, where the score is the exponential of the logit, whose derivatives become the
// powers of G. pytorch-grad-cam adds 1e-6 to the denominator and leaves a out where G = 0; so do we.
Tensor grad_cam_plus_plus(const LayerEvidence& e) {
  const auto square = e.gradient.square();
  const auto sum = over_space(sum_over_space(e.activation), e.activation);
  const auto denominator = 2 * square + sum * (square * e.gradient) + 1e-6;
  const auto alpha = (square / denominator).masked_fill_(e.gradient.eq(0), 0);
  return e.activation * over_space(sum_over_space(e.gradient.clamp_min(0) * alpha), e.activation);
}

}  // namespace gradcam
