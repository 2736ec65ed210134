#include "rule.h"

namespace gradcam {

// R_i = sum_j w_ij^2 / (sum_i w_ij^2) R_j: Montavon et al. 2017, "Explaining Nonlinear Classification Decisions with
// Deep Taylor Decomposition", doi:10.1016/j.patcog.2016.11.008. For inputs without bounds.
Tensor w_square_rule(const WeightedLayer& layer, const Tensor& relevance, const Rule& rule) {
  const auto squares = layer.weight.square();
  const auto sums = layer.apply(at::ones_like(layer.x), squares);
  return layer.transpose(relevance / stabilized(sums, rule.epsilon), squares);
}

}  // namespace gradcam
