#pragma once
#include <optional>
#include <string>

#include "layer.h"

namespace gradcam {

struct Rule;

// From the relevance of a layer's output to that of its input x. One function per rule, each in a file of its name.
using RuleFormula = Tensor (*)(const WeightedLayer& layer, const Tensor& relevance, const Rule& rule);

Tensor epsilon_rule(const WeightedLayer& layer, const Tensor& relevance, const Rule& rule);
Tensor gamma_rule(const WeightedLayer& layer, const Tensor& relevance, const Rule& rule);
Tensor alpha_beta_rule(const WeightedLayer& layer, const Tensor& relevance, const Rule& rule);
Tensor z_plus_rule(const WeightedLayer& layer, const Tensor& relevance, const Rule& rule);
Tensor flat_rule(const WeightedLayer& layer, const Tensor& relevance, const Rule& rule);
Tensor w_square_rule(const WeightedLayer& layer, const Tensor& relevance, const Rule& rule);
Tensor z_box_rule(const WeightedLayer& layer, const Tensor& relevance, const Rule& rule);

struct Rule {
  RuleFormula formula = epsilon_rule;
  double epsilon = 1e-6;  // keeps every denominator from zero, see stabilized
  double gamma = 0.25, alpha = 2, beta = 1;
  Tensor low, high;  // of z-box: can be expanded to x
};

// Which rule each layer follows.
struct Composite {
  std::optional<Rule> first;  // of layers with a weight that no other such layer precedes; the usual rule where none
  Rule convolution, linear;   // by the layer's kind
  double epsilon = 1e-6;      // of sums without weights: residual additions, average pooling
};

// By its name in lib/attribution/composites.ts: "epsilon", "gamma", "alpha-beta", "z-plus", "flat", "w-square",
// "z-box". Throws ERR_INVALID_ARGUMENT.
RuleFormula rule_formula(const std::string& name);

// z + epsilon where z >= 0, z - epsilon elsewhere.
Tensor stabilized(const Tensor& z, double epsilon);

// x in its positive and its negative part. No negative part where x has none, which saves half of the work after a
// ReLU.
struct SignedInput {
  explicit SignedInput(const Tensor& x);
  Tensor positive, negative;
};

// The weights that the two parts of the input are multiplied by.
struct SignedWeights {
  Tensor positive, negative;
};

// Each input's share of z = x+ * w+ + x- * w- + bias: R_i = sum_j x_i w_ij R_j / z_j. Bias may be undefined.
Tensor signed_z(const WeightedLayer& layer, const SignedInput& x, const SignedWeights& weights, const Tensor& bias);
Tensor signed_shares(const WeightedLayer& layer, const SignedInput& x, const SignedWeights& weights,
                     const Tensor& relevance_by_z);

}  // namespace gradcam
