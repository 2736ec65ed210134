#include "rule.h"

namespace gradcam {

// R_i = sum_j (alpha (x_i w_ij)+ / z_j+ - beta (x_i w_ij)- / z_j-) R_j, alpha - beta = 1, where z_j+ is the sum of all
// positive contributions and the positive bias: Bach et al. 2015, doi:10.1371/journal.pone.0130140, equation 60.
Tensor alpha_beta_rule(const WeightedLayer& layer, const Tensor& relevance, const Rule& rule) {
  const SignedInput x(layer.x);
  const auto up = layer.weight.clamp_min(0), down = layer.weight.clamp_max(0);
  const auto shares = [&](const SignedWeights& weights, const Tensor& bias) {
    return signed_shares(layer, x, weights, relevance / stabilized(signed_z(layer, x, weights, bias), rule.epsilon));
  };
  const bool has_bias = layer.bias.defined();
  auto result = rule.alpha * shares({up, down}, has_bias ? layer.bias.clamp_min(0) : Tensor());
  if (rule.beta != 0) result = result - rule.beta * shares({down, up}, has_bias ? layer.bias.clamp_max(0) : Tensor());
  return result;
}

}  // namespace gradcam
