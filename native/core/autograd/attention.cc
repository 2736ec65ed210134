#include "attention.h"

#include <cmath>
#include <limits>
#include <utility>

namespace gradcam {

namespace {

thread_local bool by_formula = false;

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

// What is added to the scores of attention: of a mask of flags, true where a position is attended to.
std::optional<Tensor> added_mask(const std::optional<Tensor>& mask, const Tensor& query) {
  if (!mask || !mask->defined()) return std::nullopt;
  if (mask->scalar_type() != at::kBool) return mask;
  return at::zeros_like(*mask, query.options()).masked_fill_(mask->logical_not(), kMinusInfinity);
}

// [N, heads or 1, T or 1, T], as the scores of attention are.
Tensor spread_mask(const Tensor& mask, std::optional<int64_t> type, const Tensor& scores) {
  auto flags = mask.to(at::kBool);
  if (flags.dim() == 4) return flags;
  const bool of_keys = type ? *type == 1 : flags.size(0) == scores.size(0) && flags.size(0) != scores.size(2);
  return of_keys ? flags.unsqueeze(1).unsqueeze(2) : flags.unsqueeze(0).unsqueeze(0);
}

bool is_nested(const Tensor& a, const Tensor& b, const Tensor& c) {
  return a.is_nested() || b.is_nested() || c.is_nested();
}

}  // namespace

AttentionByFormula::AttentionByFormula(bool by) : outer_(std::exchange(by_formula, by)) {}
AttentionByFormula::~AttentionByFormula() { by_formula = outer_; }

bool attends_by_formula() { return by_formula; }

Tensor attention(const Tensor& query, const Tensor& key, const Tensor& value, const std::optional<Tensor>& mask,
                 double dropout, bool is_causal, std::optional<double> scale, bool grouped) {
  if (!by_formula || is_nested(query, key, value))
    return at::scaled_dot_product_attention(query, key, value, mask, dropout, is_causal, scale, grouped);
  // Not by LibTorch's own formula, whose softmax records a node that not every version of LibTorch has.
  const auto heads = [&](const Tensor& of) {
    const auto times = grouped && of.dim() > 2 ? query.size(-3) / of.size(-3) : 1;
    return times == 1 ? of : of.repeat_interleave(times, -3);
  };
  const auto factor = scale.value_or(1 / std::sqrt(static_cast<double>(query.size(-1))));
  auto scores = at::matmul(query * factor, heads(key).transpose(-2, -1));
  Tensor nowhere;  // rows that attend to nothing: their softmax would be NaN
  if (const auto added = added_mask(mask, query)) {
    nowhere = added->eq(kMinusInfinity).all(-1, /*keepdim=*/true);
    scores = scores + added->masked_fill(nowhere, 0.0);
  }
  if (is_causal) {
    const auto seen = at::ones({scores.size(-2), scores.size(-1)}, scores.options().dtype(at::kBool)).tril();
    scores = scores.masked_fill(seen.logical_not(), kMinusInfinity);
  }
  auto weights = scores.softmax(-1);
  if (nowhere.defined()) weights = weights.masked_fill(nowhere, 0.0);
  if (dropout > 0) weights = at::dropout(weights, dropout, /*train=*/true);
  return at::matmul(weights, heads(value));
}

std::tuple<Tensor, Tensor> multi_head_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                                                const MultiHeadAttention& layer) {
  if (is_nested(query, key, value))
    return at::_native_multi_head_attention(query, key, value, layer.width, layer.heads, layer.in_weight, layer.in_bias,
                                            layer.out_weight, layer.out_bias, layer.mask, layer.needs_weights,
                                            layer.average_weights, layer.mask_type);
  const auto weights = layer.in_weight.chunk(3), biases = layer.in_bias.chunk(3);
  // [N, T, width] as [N, heads, T, width / heads].
  const auto projected = [&](const Tensor& from, size_t part) {
    const auto all = at::linear(from, weights[part], biases[part]);
    return all.view({all.size(0), all.size(1), layer.heads, -1}).transpose(1, 2);
  };
  const auto q = projected(query, 0), k = projected(key, 1), v = projected(value, 2);
  auto scores = at::matmul(q / std::sqrt(static_cast<double>(q.size(3))), k.transpose(2, 3));
  if (layer.mask && layer.mask->defined())
    scores = scores.masked_fill(spread_mask(*layer.mask, layer.mask_type, scores), kMinusInfinity);
  auto attended = scores.softmax(3);
  const auto heads = at::matmul(attended, v).transpose(1, 2).flatten(2);
  if (layer.needs_weights && layer.average_weights) attended = attended.mean(1);
  return {at::linear(heads, layer.out_weight, layer.out_bias), layer.needs_weights ? attended : Tensor()};
}

// Xiong et al. 2020, "On Layer Normalization in the Transformer Architecture", arXiv:2002.04745, figure 1: with the
// norms before attention and network, or after the sums.
Tensor encoder_layer(const Tensor& source, const EncoderLayer& layer) {
  const auto& attention = layer.attention;
  if (source.is_nested())
    return at::_transformer_encoder_layer_fwd(
        source, attention.width, attention.heads, attention.in_weight, attention.in_bias, attention.out_weight,
        attention.out_bias, layer.gelu, layer.norm_first, layer.epsilon, layer.norm_weight[0], layer.norm_bias[0],
        layer.norm_weight[1], layer.norm_bias[1], layer.linear_weight[0], layer.linear_bias[0], layer.linear_weight[1],
        layer.linear_bias[1], attention.mask, attention.mask_type);
  const auto norm = [&](const Tensor& x, size_t i) {
    return at::layer_norm(x, {attention.width}, layer.norm_weight[i], layer.norm_bias[i], layer.epsilon);
  };
  const auto attend = [&](const Tensor& x) { return std::get<0>(multi_head_attention(x, x, x, attention)); };
  const auto network = [&](const Tensor& x) {
    const auto hidden = at::linear(x, layer.linear_weight[0], layer.linear_bias[0]);
    return at::linear(layer.gelu ? at::gelu(hidden) : at::relu(hidden), layer.linear_weight[1], layer.linear_bias[1]);
  };
  if (layer.norm_first) {
    const auto x = source + attend(norm(source, 0));
    return x + network(norm(x, 1));
  }
  const auto x = norm(source + attend(source), 0);
  return norm(x + network(x), 1);
}

}  // namespace gradcam
