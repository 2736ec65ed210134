#include "core/base/error.h"
#include "method.h"

namespace gradcam {

namespace {

// How far a gradient may stray from being the same at all spatial positions, relative to its largest element.
constexpr double kTolerance = 1e-5;

// The gradient [N, C, positions] that a channel's mean over `seen`, its positions, stands for: [N, C].
Tensor weights_over(const Tensor& gradient, const Tensor& seen) {
  return (gradient * seen).sum(-1) / seen.sum(-1).clamp_min(1);
}

bool is_same_where_seen(const Tensor& gradient, const Tensor& seen, const Tensor& weights) {
  const auto spread = (gradient - weights.unsqueeze(-1) * seen).abs().max().item<double>();
  return spread <= kTolerance * gradient.abs().max().item<double>();
}

}  // namespace

// CAM: map = max(sum_k w_k A_k, 0), with w_k the weights from the pooled channel k to the class.
// Zhou et al. 2016, "Learning Deep Features for Discriminative Localization", arXiv:1512.04150, equation 2.
// The method exists only where the layer's output is averaged over space and what follows is linear. There the gradient
// at each of the h w spatial positions is w_k / (h w), which tells whether it is so, and gives the weights without
// looking for them. Between the layer and the average there may be a ReLU that is not a layer, as in DenseNet: then the
// gradient is that where A > 0 and zero elsewhere, and what is averaged, the A of the paper, is max(A, 0).
Tensor class_activation(const LayerEvidence& e) {
  const auto gradient = e.gradient.flatten(2);
  const auto positions = static_cast<double>(gradient.size(2));
  const auto everywhere = at::ones_like(gradient);
  if (const auto weights = weights_over(gradient, everywhere); is_same_where_seen(gradient, everywhere, weights))
    return e.activation * over_space(weights * positions, e.activation);
  const auto active = (e.activation.flatten(2) > 0).to(gradient.scalar_type());
  if (const auto weights = weights_over(gradient, active); is_same_where_seen(gradient, active, weights))
    return e.activation.clamp_min(0) * over_space(weights * positions, e.activation);
  throw Error(
      "ERR_LAYER_OUTPUT",
      "CAM needs a layer whose output is averaged over space, with or without a ReLU before that, and then only "
      "multiplied by weights, but here the gradient differs between spatial positions.",
      Remedy{"Pick the last layer before the "
             "pooling, or use 'hirescam', which is CAM where CAM exists."});
}

}  // namespace gradcam
