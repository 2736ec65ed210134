#pragma once
#include <optional>
#include <utility>

#include "autograd_node.h"

namespace gradcam {

using ScaleOfChannel = std::pair<float, float>;

// What the gradient of a batch norm with fixed statistics multiplies by, channel by channel: first by 1 / sqrt(variance
// + eps), then by the weight, in the order of LibTorch's own products.
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

// For the node of a batch norm with fixed statistics, on the CPU in float32: one that makes the same gradient at its
// input, bit for bit, and nothing else. LibTorch's own reads the input as well, for sums that such a gradient does not
// have. None for any other node.
NodePtr batch_norm_node(const NodePtr& node);

// What such a node multiplies by; none for any other.
std::optional<FixedScale> fixed_scale(const torch::autograd::Node& node);

}  // namespace gradcam
