#include "method.h"

namespace gradcam {

// Ablation-CAM: w_k = (s_0 - s_k) / s_0, with s_0 the score and s_k the score with zeros instead of channel k;
// map = max(sum_k w_k A_k, 0).
// Desai and Ramaswamy 2020, "Ablation-CAM: Visual Explanations for Deep Convolutional Network via Gradient-free
// Localization", WACV, equations 2 and 3. Zeros at any layer, as in the paper: pytorch-grad-cam fills in (min A - 1e7)
// where the smallest activation is not zero, and takes that minimum again after each channel of a batch, so that its
// maps depend on its batch size. A negative score turns the signs, as the formula says. A channel that changes nothing
// weighs nothing, also where s_0 is zero.
Tensor ablation_cam(const LayerEvidence& e) {
  const auto score = e.score.unsqueeze(1);
  const auto drop = score - e.ablated_scores;
  const auto weights = (drop / score).masked_fill(drop.eq(0), 0);
  return e.activation * over_space(weights.to(e.activation.options()), e.activation);
}

}  // namespace gradcam
