#pragma once
#include <optional>
#include <utility>

#include "autograd_node.h"

namespace gradcam {

using ScaleOfChannel = std::pair<float, float>;

// The factors of the gradient of a batch norm with fixed statistics, channel by channel: first 1 / sqrt(variance +
// eps), then the weight, in LibTorch's order.
class FixedScale {
 public:
  // Both float32 [C], contiguous, on the CPU.
  FixedScale(torch::Tensor inverse_deviation, torch::Tensor weight)
      : inverse_deviation_(std::move(inverse_deviation)), weight_(std::move(weight)) {}

  const float* first() const { return inverse_deviation_.const_data_ptr<float>(); }
  const float* second() const { return weight_.const_data_ptr<float>(); }
  ScaleOfChannel of(int64_t channel) const { return {first()[channel], second()[channel]}; }
  torch::Tensor applied_to(const torch::Tensor& gradient) const;

 private:
  torch::Tensor inverse_deviation_, weight_;
};

// [C] each, as they are given to LibTorch's operator: the weight and the bias may be undefined.
struct BatchNormConstants {
  torch::Tensor weight, bias, mean, variance;
  double epsilon = 0;

  // By LibTorch's operator.
  torch::Tensor applied_to(const torch::Tensor& input) const;
};

// 1 / sqrt(variance + epsilon), float32 [C], rounded once, as LibTorch's gradient of a batch norm has it.
torch::Tensor inverse_deviation(const torch::Tensor& variance, double epsilon);

// An optimized node for a batch norm with fixed statistics, on the CPU in float32: it computes the gradient at the
// input, bit for bit LibTorch's, and nothing else. LibTorch's node also reads the input, for sums that this gradient
// does not need. None for any other node.
NodePtr batch_norm_node(const NodePtr& node);

// A batch norm with fixed statistics, which records such a node: LibTorch's keeps the input until it is replaced.
torch::Tensor fixed_statistics_batch_norm(const torch::Tensor& input, const BatchNormConstants& constants);

// The factors of such a node; none for any other.
std::optional<FixedScale> fixed_scale(const torch::autograd::Node& node);

}  // namespace gradcam
