#include "ruled_relu.h"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/generated/Functions.h>

#include <utility>

#include "clones.h"
#include "tensor_ownership.h"

namespace gradcam {

namespace ag = torch::autograd;

namespace {

// As LibTorch's own, both let NaN through.
GRADCAM_CLONES("avx512f", "avx2")
void guide(const float* above, const float* result, float* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = (result[i] <= 0) | (above[i] <= 0) ? 0 : above[i];
}

GRADCAM_CLONES("avx512f", "avx2")
void rectify(const float* above, float* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = above[i] <= 0 ? 0 : above[i];
}

bool is_plain(const Tensor& tensor) {
  return tensor.is_cpu() && tensor.scalar_type() == at::kFloat && tensor.layout() == at::kStrided &&
         tensor.is_non_overlapping_and_dense();
}

// What the rule makes of what ReLU's own backward makes of `above`.
Tensor ruled(Tensor above, const Tensor& result, ReluRule rule) {
  if (!is_plain(above) || !is_plain(result) || above.strides() != result.strides()) {
    if (rule == ReluRule::guided) above = at::threshold_backward(above, result, 0);
    return above.clamp_min(0);
  }
  const auto to = is_own(above) ? above : at::empty_like(above);
  const auto* from = above.const_data_ptr<float>();
  const auto* gate = result.const_data_ptr<float>();
  auto* out = to.mutable_data_ptr<float>();
  at::parallel_for(0, above.numel(), 32768, [&](int64_t begin, int64_t end) {
    if (rule == ReluRule::guided) guide(from + begin, gate + begin, out + begin, end - begin);
    else rectify(from + begin, out + begin, end - begin);
  });
  return to;
}

class RuledRelu : public ag::Node {
 public:
  RuledRelu(NodePtr relu, ReluRule rule) : relu_(std::move(relu)), rule_(rule) {}

  ag::variable_list apply(ag::variable_list&& above) override {
    auto gradient = std::move(above.front());
    if (!gradient.defined()) return {gradient};
    const auto result = own().result_.unpack(relu_);
    if (!at::GradMode::is_enabled()) return {ruled(std::move(gradient), result, rule_)};
    if (rule_ == ReluRule::guided) gradient = at::threshold_backward(gradient, result, 0);
    return {gradient.clamp_min(0)};
  }

  std::string name() const override { return "RuledReluBackward"; }
  void release_variables() override { relu_->release_variables(); }

 private:
  ag::generated::ReluBackward0& own() const { return static_cast<ag::generated::ReluBackward0&>(*relu_); }

  NodePtr relu_;
  ReluRule rule_;
};

}  // namespace

NodePtr ruled_relu(const NodePtr& relu, ReluRule rule) {
  auto* own = dynamic_cast<ag::generated::ReluBackward0*>(relu.get());
  if (!own) return {};
  Tensor result;
  try {
    result = own->result_.unpack(relu);
  } catch (const c10::Error&) {
    return {};  // the model changed the output in place since: what differentiates it will say so
  }
  const NodePtr node = make_node<RuledRelu>(relu, rule);
  node->add_input_metadata(result);
  node->set_next_edges(std::exchange(relu->next_edges(), {}));  // what it led to may be replaced, and should end then
  return node;
}

}  // namespace gradcam
