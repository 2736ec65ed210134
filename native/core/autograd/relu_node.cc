#include "relu_node.h"

#include <torch/csrc/autograd/generated/Functions.h>

#include <utility>

#include "batch_norm_node.h"
#include "core/base/tensor_ownership.h"
#include "core/kernels/clones.h"
#include "core/kernels/planes.h"

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

bool is_dense_float(const Tensor& tensor) {
  return tensor.is_cpu() && tensor.scalar_type() == at::kFloat && tensor.layout() == at::kStrided &&
         tensor.is_non_overlapping_and_dense();
}

class ReluNode : public ag::Node {
 public:
  ReluNode(NodePtr relu, std::optional<ReluRule> rule) : relu_(std::move(relu)), rule_(rule) {}

  ag::variable_list apply(ag::variable_list&& above) override {
    auto gradient = std::move(above.front());
    if (!gradient.defined()) return {gradient};
    const auto result = node().result_.unpack(relu_);
    if (at::GradMode::is_enabled() || !is_dense_float(gradient) || !is_dense_float(result) ||
        gradient.strides() != result.strides())
      return {step_by_step(std::move(gradient), result)};
    const auto planes = scale_ ? planes_of(gradient) : Planes::whole(gradient);
    if (!planes) return {step_by_step(std::move(gradient), result)};
    return {in_one(*planes, std::move(gradient), result)};
  }

  void absorb(FixedScale scale) { scale_ = std::move(scale); }

  std::string name() const override { return "FusedReluBackward"; }
  void release_variables() override { relu_->release_variables(); }

 private:
  ag::generated::ReluBackward0& node() const { return static_cast<ag::generated::ReluBackward0&>(*relu_); }

  Tensor step_by_step(Tensor gradient, const Tensor& result) const {
    if (rule_ != ReluRule::deconvnet) gradient = at::threshold_backward(gradient, result, 0);
    if (rule_) gradient = gradient.clamp_min(0);
    return scale_ ? scale_->applied_to(gradient) : gradient;
  }

  Tensor in_one(const Planes& planes, Tensor gradient, const Tensor& result) const {
    const auto to = is_unshared(gradient) ? gradient : at::empty_like(gradient);
    const auto* above = gradient.const_data_ptr<float>();
    const auto* gate = rule_ == ReluRule::deconvnet ? above : result.const_data_ptr<float>();
    const auto* other = rule_ == ReluRule::guided ? above : gate;
    auto* out = to.mutable_data_ptr<float>();
    planes.for_each(
        [&](int64_t at, int64_t count, int64_t channel) {
          const auto by = scale_ ? scale_->of(channel) : ScaleOfChannel{1, 1};
          pass_plane(gate + at, other + at, above + at, out + at, by, count);
        },
        [&](int64_t at, int64_t count) {
          pass_row(gate + at, other + at, above + at, out + at, scale_->first(), scale_->second(), count);
        });
    return to;
  }

  NodePtr relu_;
  std::optional<ReluRule> rule_;
  std::optional<FixedScale> scale_;  // of a batch norm whose gradient this node also computes
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

void merge_batch_norm(ag::Node& relu, const NodePtr& below) {
  auto* node = dynamic_cast<ReluNode*>(&relu);
  auto scale = node ? fixed_scale(*below) : std::nullopt;
  if (!scale) return;
  node->absorb(std::move(*scale));
  // Not set_next_edges, which refuses a node that another one leads to: its topological number is high enough already,
  // since it was above that of `below`.
  node->next_edges() = ag::edge_list(below->next_edges());
}

}  // namespace gradcam
