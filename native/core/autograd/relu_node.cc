#include "relu_node.h"

#include <torch/csrc/autograd/VariableTypeUtils.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/generated/Functions.h>

#include <utility>

#include "batch_norm_node.h"
#include "core/base/tensor_ownership.h"
#include "core/kernels/clones.h"
#include "core/kernels/planes.h"
#include "core/kernels/relu_mask.h"

namespace gradcam {

namespace ag = torch::autograd;

namespace {

// The gradient from above passes where neither gate is closed, that is zero or less. As in LibTorch, a gate that is NaN
// is open. `to` may be `above`; each element depends on itself alone, so the loop can still be vectorized.
GRADCAM_CLONES("avx512f", "avx2")
void pass_plane(const float* gate, const float* other, const float* above, float* to, ScaleOfChannel by,
                int64_t count) {
  GRADCAM_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) to[i] = ((gate[i] <= 0) | (other[i] <= 0) ? 0 : above[i]) * by.first * by.second;
}

GRADCAM_CLONES("avx512f", "avx2")
void pass_row(const float* gate, const float* other, const float* above, float* to, const float* by,
              const float* then_by, int64_t count) {
  GRADCAM_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) to[i] = ((gate[i] <= 0) | (other[i] <= 0) ? 0 : above[i]) * by[i] * then_by[i];
}

// The same by a mask: `open` is not zero where the gate is open. Which of the two gates there are is the same for all.
GRADCAM_CLONES("avx512f", "avx2")
void pass_plane(const uint8_t* open, const float* above, float* to, bool gated, bool positive, ScaleOfChannel by,
                int64_t count) {
  GRADCAM_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) {
    const bool closed = (gated & (open[i] == 0)) | (positive & (above[i] <= 0));
    to[i] = (closed ? 0 : above[i]) * by.first * by.second;
  }
}

GRADCAM_CLONES("avx512f", "avx2")
void pass_row(const uint8_t* open, const float* above, float* to, bool gated, bool positive, const float* by,
              const float* then_by, int64_t count) {
  GRADCAM_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) {
    const bool closed = (gated & (open[i] == 0)) | (positive & (above[i] <= 0));
    to[i] = (closed ? 0 : above[i]) * by[i] * then_by[i];
  }
}

bool is_dense_float(const Tensor& tensor) {
  return tensor.is_cpu() && tensor.scalar_type() == at::kFloat && tensor.layout() == at::kStrided &&
         tensor.is_non_overlapping_and_dense();
}

// A ReLU, and below it the scale of a batch norm whose gradient the same node computes, if there is one.
class ScaledReluNode : public ag::Node {
 public:
  void absorb(FixedScale scale) { scale_ = std::move(scale); }

 protected:
  // `like` says where the gate is open, in its own layout. None where the gradient has another one.
  std::optional<Planes> planes_like(const Tensor& gradient, const Tensor& like) const {
    if (at::GradMode::is_enabled() || !is_dense_float(gradient) || gradient.strides() != like.strides()) return {};
    return scale_ ? planes_of(gradient) : Planes::whole(gradient);
  }
  ScaleOfChannel scale_of(int64_t channel) const { return scale_ ? scale_->of(channel) : ScaleOfChannel{1, 1}; }
  Tensor scaled(const Tensor& gradient) const { return scale_ ? scale_->applied_to(gradient) : gradient; }

  std::optional<FixedScale> scale_;
};

// In place of LibTorch's node, which keeps the result.
class ReluNode : public ScaledReluNode {
 public:
  ReluNode(NodePtr relu, std::optional<ReluRule> rule) : relu_(std::move(relu)), rule_(rule) {}

  ag::variable_list apply(ag::variable_list&& above) override {
    auto gradient = std::move(above.front());
    if (!gradient.defined()) return {gradient};
    const auto result = node().result_.unpack(relu_);
    const auto planes = is_dense_float(result) ? planes_like(gradient, result) : std::nullopt;
    return {planes ? in_one(*planes, std::move(gradient), result) : step_by_step(std::move(gradient), result)};
  }

  std::string name() const override { return "FusedReluBackward"; }
  void release_variables() override { relu_->release_variables(); }

 private:
  ag::generated::ReluBackward0& node() const { return static_cast<ag::generated::ReluBackward0&>(*relu_); }

  Tensor step_by_step(Tensor gradient, const Tensor& result) const {
    if (rule_ != ReluRule::deconvnet) gradient = at::threshold_backward(gradient, result, 0);
    if (rule_) gradient = gradient.clamp_min(0);
    return scaled(gradient);
  }

  Tensor in_one(const Planes& planes, Tensor gradient, const Tensor& result) const {
    const auto to = is_unshared(gradient) ? gradient : at::empty_like(gradient);
    const auto* above = gradient.const_data_ptr<float>();
    const auto* gate = rule_ == ReluRule::deconvnet ? above : result.const_data_ptr<float>();
    const auto* other = rule_ == ReluRule::guided ? above : gate;
    auto* out = to.mutable_data_ptr<float>();
    planes.for_each(
        [&](int64_t at, int64_t count, int64_t channel) {
          pass_plane(gate + at, other + at, above + at, out + at, scale_of(channel), count);
        },
        [&](int64_t at, int64_t count) {
          pass_row(gate + at, other + at, above + at, out + at, scale_->first(), scale_->second(), count);
        });
    return to;
  }

  NodePtr relu_;
  std::optional<ReluRule> rule_;
};

// Keeps a byte for each element.
class MaskedReluNode : public ScaledReluNode, public OwnRelu {
 public:
  explicit MaskedReluNode(bool of_module) : OwnRelu(of_module) {}

  void keep(const Tensor& open) { open_ = ag::SavedVariable(open, /*is_output=*/false); }

  ag::variable_list apply(ag::variable_list&& above) override {
    auto gradient = std::move(above.front());
    if (!gradient.defined()) return {gradient};
    const auto open = open_.unpack();
    const auto planes = planes_like(gradient, open);
    return {planes ? in_one(*planes, std::move(gradient), open) : step_by_step(std::move(gradient), open)};
  }

  std::string name() const override { return "MaskedReluBackward"; }
  void release_variables() override { open_.reset_data(); }

 private:
  Tensor step_by_step(Tensor gradient, const Tensor& open) const {
    if (rule_ != ReluRule::deconvnet) gradient = gradient.masked_fill(open == 0, 0);
    if (rule_) gradient = gradient.clamp_min(0);
    return scaled(gradient);
  }

  Tensor in_one(const Planes& planes, Tensor gradient, const Tensor& open) const {
    const auto to = is_unshared(gradient) ? gradient : at::empty_like(gradient);
    const auto* gates = open.const_data_ptr<uint8_t>();
    const auto* above = gradient.const_data_ptr<float>();
    auto* out = to.mutable_data_ptr<float>();
    const bool gated = rule_ != ReluRule::deconvnet, positive = rule_.has_value();
    planes.for_each(
        [&](int64_t at, int64_t count, int64_t channel) {
          pass_plane(gates + at, above + at, out + at, gated, positive, scale_of(channel), count);
        },
        [&](int64_t at, int64_t count) {
          pass_row(gates + at, above + at, out + at, gated, positive, scale_->first(), scale_->second(), count);
        });
    return to;
  }

  ag::SavedVariable open_;
};

}  // namespace

NodePtr relu_node(const NodePtr& relu, std::optional<ReluRule> rule) {
  auto* backward = dynamic_cast<ag::generated::ReluBackward0*>(relu.get());
  if (!backward) return {};
  Tensor result;
  try {
    result = backward->result_.unpack(relu);
  } catch (const c10::Error&) {
    return {};  // the model modified the output in place: autograd will raise its version-counter error
  }
  const NodePtr node = make_node<ReluNode>(relu, rule);
  node->add_input_metadata(result);
  node->set_next_edges(std::exchange(relu->next_edges(), {}));  // nodes that are replaced later should be freed
  return node;
}

Tensor masked_relu(const Tensor& input, bool in_place, bool of_module) {
  const bool recorded = at::GradMode::is_enabled() && input.requires_grad();
  // A change of a view or of a leaf has rules of its own.
  const bool own = in_place && (input.is_view() || input.is_leaf());
  if (!recorded || own || !is_dense_float(input) || input.numel() == 0)
    return in_place ? at::relu_(const_cast<Tensor&>(input)) : at::relu(input);
  const NodePtr node = make_node<MaskedReluNode>(of_module);
  node->set_next_edges(ag::collect_next_edges(input));
  auto& masked = static_cast<MaskedReluNode&>(*node);
  if (!in_place) {
    auto [result, open] = relu_with_mask(input.detach());
    masked.keep(open);
    ag::set_history(result, node);
    return result;
  }
  masked.keep(relu_with_mask_(input.detach()));
  ag::increment_version(input);
  ag::impl::rebase_history(input, {node, node->add_input_metadata(input)});
  return input;
}

void merge_batch_norm(ag::Node& relu, const NodePtr& below) {
  auto* node = dynamic_cast<ScaledReluNode*>(&relu);
  auto scale = node ? fixed_scale(*below) : std::nullopt;
  if (!scale) return;
  node->absorb(std::move(*scale));
  // Not set_next_edges, which refuses a node that another one leads to: its topological number is high enough already,
  // since it was above that of `below`.
  node->next_edges() = ag::edge_list(below->next_edges());
}

}  // namespace gradcam
