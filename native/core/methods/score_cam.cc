#include "method.h"

namespace gradcam {

// Score-CAM: w = softmax over channels of s_k, with s_k the score of the input times the mask that channel k makes (see
// channel_masks); map = max(sum_k w_k A_k, 0).
// Wang et al. 2020, "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks",
// arXiv:1910.01279, as the authors' code and pytorch-grad-cam have it: the paper's algorithm 1 subtracts the score of a
// baseline first, which the softmax cancels.
Tensor score_cam(const LayerEvidence& e) {
  const auto weights = e.masked_scores.softmax(1);
  return e.activation * over_space(weights.to(e.activation.options()), e.activation);
}

}  // namespace gradcam
