#include "batch_norm_node.h"

#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/generated/Functions.h>

#include <cmath>

#include "core/base/tensor_ownership.h"
#include "core/kernels/clones.h"
#include "core/kernels/planes.h"

namespace gradcam {

namespace ag = torch::autograd;
using torch::Tensor;

Tensor FixedScale::applied_to(const Tensor& gradient) const {
  std::vector<int64_t> shape(static_cast<size_t>(gradient.dim()), 1);
  shape.at(1) = gradient.size(1);
  return gradient.mul(inverse_deviation_.view(shape)).mul(weight_.view(shape));
}

namespace {

GRADCAM_CLONES("avx512f", "avx2")
void scale_plane(const float* from, float* to, ScaleOfChannel by, int64_t count) {
  GRADCAM_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) to[i] = from[i] * by.first * by.second;
}

GRADCAM_CLONES("avx512f", "avx2")
void scale_row(const float* from, float* to, const float* by, const float* then_by, int64_t count) {
  GRADCAM_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) to[i] = from[i] * by[i] * then_by[i];
}

class BatchNormNode : public ag::Node {
 public:
  explicit BatchNormNode(FixedScale scale) : scale_(std::move(scale)) {}

  ag::variable_list apply(ag::variable_list&& above) override {
    auto gradient = std::move(above.front());
    if (!gradient.defined()) return {gradient};
    const auto planes = planes_of(gradient);
    if (at::GradMode::is_enabled() || !planes) return {scale_.applied_to(gradient)};
    const auto to = is_unshared(gradient) ? gradient : at::empty_like(gradient);
    const auto* from = gradient.const_data_ptr<float>();
    auto* out = to.mutable_data_ptr<float>();
    planes->for_each(
        [&](int64_t at, int64_t count, int64_t channel) {
          scale_plane(from + at, out + at, scale_.of(channel), count);
        },
        [&](int64_t at, int64_t count) { scale_row(from + at, out + at, scale_.first(), scale_.second(), count); });
    return {to};
  }

  const FixedScale& scale() const { return scale_; }

  std::string name() const override { return "FixedBatchNormBackward"; }

 private:
  FixedScale scale_;
};

bool is_contiguous_float(const Tensor& tensor) {
  return tensor.defined() && tensor.is_cpu() && tensor.scalar_type() == at::kFloat && tensor.is_contiguous();
}

// None where the gradient is not that of float32 on the CPU, or not of vectors that lie as they are read.
std::optional<FixedScale> scale_of(const Tensor& input, const Tensor& weight, const Tensor& variance, double epsilon) {
  if (!input.is_cpu() || input.scalar_type() != at::kFloat || !is_contiguous_float(variance) ||
      (weight.defined() && !is_contiguous_float(weight)))
    return {};
  return FixedScale(inverse_deviation(variance, epsilon), weight.defined() ? weight.detach() : at::ones_like(variance));
}

}  // namespace

Tensor BatchNormConstants::applied_to(const Tensor& input) const {
  return at::batch_norm(input, weight, bias, mean, variance, /*training=*/false, /*momentum=*/0, epsilon,
                        /*cudnn_enabled=*/false);
}

Tensor inverse_deviation(const Tensor& variance, double epsilon) {
  auto inverse = at::empty_like(variance);
  const auto* from = variance.const_data_ptr<float>();
  auto* to = inverse.mutable_data_ptr<float>();
  for (int64_t i = 0; i < variance.numel(); ++i) to[i] = static_cast<float>(1 / std::sqrt(from[i] + epsilon));
  return inverse;
}

NodePtr batch_norm_node(const NodePtr& node) {
  auto* own = dynamic_cast<ag::generated::NativeBatchNormBackward0*>(node.get());
  if (!own || own->training || node->next_edges().empty()) return {};
  try {
    const auto input = own->input_.unpack();
    const auto variance = own->running_var_.unpack().detach();
    auto scale = scale_of(input, own->weight_.unpack(), variance, own->eps);
    if (!scale) return {};
    const NodePtr optimized = make_node<BatchNormNode>(std::move(*scale));
    // Nobody needs the gradients of its weight and bias.
    optimized->set_next_edges({node->next_edges().front()});
    optimized->add_input_metadata(input);
    return optimized;
  } catch (const c10::Error&) {
    return {};  // a saved tensor was modified in place: autograd will raise its version-counter error
  }
}

Tensor fixed_statistics_batch_norm(const Tensor& input, const BatchNormConstants& constants) {
  const bool recorded = at::GradMode::is_enabled() && input.requires_grad();
  auto scale = recorded ? scale_of(input, constants.weight, constants.variance, constants.epsilon) : std::nullopt;
  if (!scale) return constants.applied_to(input);
  const NodePtr node = make_node<BatchNormNode>(std::move(*scale));
  node->set_next_edges(ag::collect_next_edges(input));
  Tensor output;
  {
    const at::NoGradGuard no_graph;
    output = constants.applied_to(input);
  }
  ag::set_history(output, node);
  return output;
}

std::optional<FixedScale> fixed_scale(const ag::Node& node) {
  const auto* optimized = dynamic_cast<const BatchNormNode*>(&node);
  return optimized ? std::optional(optimized->scale()) : std::nullopt;
}

}  // namespace gradcam
