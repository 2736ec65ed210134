#pragma once
#include <torch/script.h>

#include <optional>
#include <tuple>

namespace gradcam {

using torch::Tensor;

// While it lives, attention on this thread computes by its formula, operator by operator, of which there are second
// derivatives. LibTorch's fused kernels, which are faster, have first derivatives alone. Both are equal up to rounding.
class AttentionByFormula {
 public:
  explicit AttentionByFormula(bool required);
  ~AttentionByFormula();
  AttentionByFormula(const AttentionByFormula&) = delete;
  AttentionByFormula& operator=(const AttentionByFormula&) = delete;

 private:
  bool outer_;
};

// aten::scaled_dot_product_attention.
Tensor attention(const Tensor& query, const Tensor& key, const Tensor& value, const std::optional<Tensor>& mask,
                 double dropout, bool is_causal, std::optional<double> scale, bool grouped);

// Whether it would compute by the formula.
bool attends_by_formula();

// aten::_native_multi_head_attention and aten::_transformer_encoder_layer_fwd, the kernels that torch.nn's modules call
// where nothing requires a gradient: what they compute, from operators that have derivatives. Nested tensors go to the
// kernels themselves.
struct MultiHeadAttention {
  int64_t width = 0, heads = 0;
  Tensor in_weight, in_bias, out_weight, out_bias;
  std::optional<Tensor> mask;  // true, or not zero, where a position is not attended to
  bool needs_weights = true, average_weights = true;
  std::optional<int64_t> mask_type;  // 0: [T, T]; 1: [N, T]; 2: [N, heads, T, T]
};
std::tuple<Tensor, Tensor> multi_head_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                                                const MultiHeadAttention& layer);

struct EncoderLayer {
  MultiHeadAttention attention;
  bool gelu = false, norm_first = false;
  double epsilon = 0;
  Tensor norm_weight[2], norm_bias[2], linear_weight[2], linear_bias[2];
};
Tensor encoder_layer(const Tensor& source, const EncoderLayer& layer);

}  // namespace gradcam
