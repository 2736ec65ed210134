#include "rule.h"

namespace gradcam {

// R_i = sum_j x_i (w_ij + gamma w_ij+) R_j / z_j, z_j with the same weights and bias: Montavon et al. 2019, "Layer-Wise
// Relevance Propagation: An Overview", doi:10.1007/978-3-030-28954-6_10, for x >= 0 and z > 0. Here for any sign of
// both: gamma favours contributions x_i w_ij, and a bias, of the sign of z_j.
Tensor gamma_rule(const WeightedLayer& layer, const Tensor& relevance, const Rule& rule) {
  const auto favoured = [&](const Tensor& values, bool positive) {
    return values.defined() ? values + rule.gamma * (positive ? values.clamp_min(0) : values.clamp_max(0)) : values;
  };
  const SignedInput x(layer.x);
  const auto more = favoured(layer.weight, true), less = favoured(layer.weight, false);
  const auto z = layer.z();
  const auto shares = [&](const SignedWeights& weights, bool positive) {
    const auto of_sign = relevance * (positive ? z.gt(0) : z.lt(0));
    const auto sum = signed_z(layer, x, weights, favoured(layer.bias, positive));
    return signed_shares(layer, x, weights, of_sign / stabilized(sum, rule.epsilon));
  };
  return shares({more, less}, true) + shares({less, more}, false);
}

}  // namespace gradcam
