#include "method.h"

namespace gradcam {

// Smooth Grad-CAM++: Grad-CAM++ with the means over noisy copies of the input in place of G, G^2 and G^3:
// w_k = sum_ij a_k,ij max(mean G_k,ij, 0), a = mean G^2 / (2 mean G^2 + sum_ij(A_k mean G_k^3) + 1e-8); map =
// max(sum_k w_k A_k, 0), with the activation A of the input as it is. Omeiza et al. 2019, "Smooth Grad-CAM++: An
// Enhanced Inference Level Visualization Technique for Deep Convolutional Neural Network Models", arXiv:1908.01224,
// equations 9 and 10. torch-cam takes G of the last copy alone in place of its mean.
Tensor smooth_grad_cam_plus_plus(const LayerEvidence& e) {
  const auto sum = over_space(sum_over_space(e.activation * e.noisy_cube), e.activation);
  const auto alpha = e.noisy_square / (2 * e.noisy_square + sum + 1e-8);
  return e.activation * over_space(sum_over_space(alpha * e.noisy_gradient.clamp_min(0)), e.activation);
}

}  // namespace gradcam
