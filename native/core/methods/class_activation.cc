#include "../error.h"
#include "method.h"

namespace gradcam {

namespace {

// How far a gradient may stray from being the same at all places, relative to its largest element.
constexpr double kTolerance = 1e-5;

}  // namespace

// CAM: map = max(sum_k w_k A_k, 0), with w_k the weights from the pooled channel k to the class.
// Zhou et al. 2016, "Learning Deep Features for Discriminative Localization", arXiv:1512.04150, equation 2.
// The method exists only where the layer's output is averaged over space and what follows is linear. There the gradient at
// each of the h w places is w_k / (h w), which tells whether it is so, and gives the weights without looking for them.
Tensor class_activation(const LayerEvidence& e) {
  const auto gradient = e.gradient.flatten(2);
  const auto weights = gradient.mean(-1);
  const auto spread = (gradient - weights.unsqueeze(-1)).abs().max().item<double>();
  if (!(spread <= kTolerance * gradient.abs().max().item<double>()))
    throw Error("ERR_LAYER_OUTPUT",
                "CAM needs a layer whose output is averaged over space and then only multiplied by weights, but here the "
                "gradient differs from place to place. Pick the last layer before the pooling (after its ReLU), or use "
                "'gradcam', which is CAM where CAM exists.");
  return e.activation * over_space(weights * static_cast<double>(gradient.size(2)), e.activation);
}

}  // namespace gradcam
