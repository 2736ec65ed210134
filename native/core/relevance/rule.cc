#include "rule.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "core/base/error.h"

namespace gradcam {

namespace {

constexpr std::array<std::pair<std::string_view, RuleFormula>, 7> kRules = {{
    {"epsilon", epsilon_rule},
    {"gamma", gamma_rule},
    {"alpha-beta", alpha_beta_rule},
    {"z-plus", z_plus_rule},
    {"flat", flat_rule},
    {"w-square", w_square_rule},
    {"z-box", z_box_rule},
}};

}  // namespace

RuleFormula rule_formula(const std::string& name) {
  const auto row = std::find_if(kRules.begin(), kRules.end(), [&](const auto& one) { return one.first == name; });
  if (row != kRules.end()) return row->second;
  throw Error("ERR_INVALID_ARGUMENT", "Unknown rule of relevance '" + name + "'.");
}

Tensor stabilized(const Tensor& z, double epsilon) { return at::where(z.ge(0), z + epsilon, z - epsilon); }

SignedInput::SignedInput(const Tensor& x) {
  const bool none_negative = x.numel() == 0 || x.ge(0).all().item<bool>();
  positive = none_negative ? x : x.clamp_min(0);
  if (!none_negative) negative = x.clamp_max(0);
}

Tensor signed_z(const WeightedLayer& layer, const SignedInput& x, const SignedWeights& weights, const Tensor& bias) {
  auto z = WeightedLayer::plus(layer.apply(x.positive, weights.positive), bias);
  return x.negative.defined() ? z + layer.apply(x.negative, weights.negative) : z;
}

Tensor signed_shares(const WeightedLayer& layer, const SignedInput& x, const SignedWeights& weights,
                     const Tensor& relevance_by_z) {
  const auto shares = x.positive * layer.transpose(relevance_by_z, weights.positive);
  return x.negative.defined() ? shares + x.negative * layer.transpose(relevance_by_z, weights.negative) : shares;
}

}  // namespace gradcam
