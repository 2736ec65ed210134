#include "rule.h"

namespace gradcam {

// R_i = sum_j (x_i w_ij)+ / z_j+ R_j: the alpha-beta rule with alpha 1 and beta 0. Montavon et al. 2017, "Explaining
// Nonlinear Classification Decisions with Deep Taylor Decomposition", doi:10.1016/j.patcog.2016.11.008, for x >= 0.
Tensor z_plus_rule(const WeightedLayer& layer, const Tensor& relevance, const Rule& rule) {
  auto positive = rule;
  positive.alpha = 1;
  positive.beta = 0;
  return alpha_beta_rule(layer, relevance, positive);
}

}  // namespace gradcam
