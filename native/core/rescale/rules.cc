#include "rules.h"

#include <torch/csrc/autograd/function_hook.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>
#include <utility>

#include "core/base/operator_calls.h"

namespace gradcam {

namespace ag = torch::autograd;

namespace {

// Elementwise operators y = f(x), and the autograd nodes that they record ("Relu" is ReluBackward0).
constexpr std::array<std::pair<std::string_view, std::string_view>, 43> kElementwise = {{
    {"relu", "Relu"},
    {"hardtanh", "Hardtanh"},
    {"clamp", "Clamp"},
    {"clamp_min", "ClampMin"},
    {"clamp_max", "ClampMax"},
    {"threshold", "Threshold"},
    {"leaky_relu", "LeakyRelu"},
    {"_prelu_kernel", "PreluKernel"},
    {"elu", "Elu"},
    {"celu", "Celu"},
    {"gelu", "Gelu"},
    {"silu", "Silu"},
    {"mish", "Mish"},
    {"hardswish", "Hardswish"},
    {"hardsigmoid", "Hardsigmoid"},
    {"softplus", "Softplus"},
    {"softshrink", "Softshrink"},
    {"hardshrink", "Hardshrink"},
    {"sigmoid", "Sigmoid"},
    {"tanh", "Tanh"},
    {"log_sigmoid_forward", "LogSigmoid"},
    {"exp", "Exp"},
    {"exp2", "Exp2"},
    {"expm1", "Expm1"},
    {"log", "Log"},
    {"log2", "Log2"},
    {"log10", "Log10"},
    {"log1p", "Log1P"},
    {"sqrt", "Sqrt"},
    {"rsqrt", "Rsqrt"},
    {"reciprocal", "Reciprocal"},
    {"abs", "Abs"},
    {"pow", "Pow"},
    {"sin", "Sin"},
    {"cos", "Cos"},
    {"sinh", "Sinh"},
    {"cosh", "Cosh"},
    {"asinh", "Asinh"},
    {"atan", "Atan"},
    {"erf", "Erf"},
    {"erfc", "Erfc"},
    {"maximum", "Maximum"},
    {"minimum", "Minimum"},
}};

constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kMaxPools = {{
    {"max_pool2d_with_indices", "MaxPool2DWithIndices"},
    {"max_pool3d_with_indices", "MaxPool3DWithIndices"},
    {"adaptive_max_pool2d", "AdaptiveMaxPool2D"},
    {"adaptive_max_pool3d", "AdaptiveMaxPool3D"},
}};

template <typename Table>
std::string_view node_of(const Table& table, std::string_view base) {
  const auto found = std::find_if(table.begin(), table.end(), [&](const auto& entry) { return entry.first == base; });
  return found == table.end() ? std::string_view() : found->second;
}

// A difference too small to divide by; Captum's number.
constexpr double kLeast = 1e-10;

// Differences of half-precision numbers are computed in float32, which can represent 1e-10.
at::ScalarType working_dtype(const Tensor& tensor) {
  return tensor.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

Tensor difference(const Tensor& a, const Tensor& b) { return a.to(working_dtype(a)).sub(b.to(working_dtype(b))); }

class RescaleRule : public ag::FunctionPostHook {
 public:
  // `computed` are the gradients that the node's own backward computed from those of its outputs, `given`.
  ag::variable_list operator()(const ag::variable_list& computed, const ag::variable_list& given) override {
    const at::NoGradGuard no_graph;
    auto ruled = computed;
    if (given.empty() || !given.front().defined()) return ruled;
    for (auto& gradient : ruled)
      if (gradient.defined()) gradient = at::where(near_, gradient, rescaled(given.front()).to(gradient.scalar_type()));
    return ruled;
  }

 protected:
  explicit RescaleRule(const Tensor& delta) : near_(delta.abs().lt(kLeast)) {}
  virtual Tensor rescaled(const Tensor& given) const = 0;

 private:
  Tensor near_;  // where x is so close to x0 that the node's own gradient is used
};

class ElementwiseRule : public RescaleRule {
 public:
  ElementwiseRule(const Tensor& delta_x, const Tensor& delta_y)
      : RescaleRule(delta_x), multiplier_(delta_y.div(delta_x)) {}

 private:
  Tensor rescaled(const Tensor& given) const override { return given * multiplier_; }
  Tensor multiplier_;
};

class MaxPoolRule : public RescaleRule {
 public:
  MaxPoolRule(const Tensor& delta, int64_t first_spatial, const RescaleValues& at_input,
              const RescaleValues& at_baseline)
      : RescaleRule(delta),
        delta_(delta),
        first_spatial_(first_spatial),
        indices_(at_input.indices),
        indices_of_baseline_(at_baseline.indices) {
    const auto most = at::maximum(at_input.y, at_baseline.y);
    up_ = difference(most, at_baseline.y);
    down_ = difference(at_input.y, most);
  }

 private:
  Tensor rescaled(const Tensor& given) const override {
    const auto planes = [&](const Tensor& tensor) { return tensor.flatten(first_spatial_); };
    auto sum = planes(at::zeros(delta_.sizes(), delta_.options()));
    sum.scatter_add_(-1, planes(indices_), planes(given * up_));
    sum.scatter_add_(-1, planes(indices_of_baseline_), planes(given * down_));
    return sum.view(delta_.sizes()).div(delta_);
  }

  Tensor delta_;
  int64_t first_spatial_;
  Tensor indices_, indices_of_baseline_, up_, down_;
};

bool is_of(const ag::Node& node, std::string_view operator_node) {
  const auto name = node.name();
  return name.size() > operator_node.size() && name.starts_with(operator_node) &&
         name.compare(operator_node.size(), 8, "Backward") == 0;
}

}  // namespace

RescaleKind rescale_kind(const std::string& name) {
  const auto base = operator_base_name(name);
  if (!node_of(kElementwise, base).empty()) return RescaleKind::elementwise;
  return node_of(kMaxPools, base).empty() ? RescaleKind::none : RescaleKind::max_pool;
}

bool install_rule(RescaleKind kind, const std::string& name, const Tensor& output, const RescaleValues& at_input,
                  const RescaleValues& at_baseline) {
  const auto node = output.grad_fn();
  const auto base = operator_base_name(name);
  const auto own = kind == RescaleKind::elementwise ? node_of(kElementwise, base) : node_of(kMaxPools, base);
  if (!node || !is_of(*node, own) || at_input.x.sizes() != at_baseline.x.sizes()) return false;
  const at::NoGradGuard no_graph;
  const auto delta = difference(at_input.x, at_baseline.x);
  if (kind == RescaleKind::max_pool) {
    const auto first_spatial = delta.dim() - (base.find("3d") == std::string_view::npos ? 2 : 3);
    node->add_post_hook(std::make_unique<MaxPoolRule>(delta, first_spatial, at_input, at_baseline));
    return true;
  }
  const auto delta_y = difference(at_input.y, at_baseline.y);
  if (delta_y.sizes() != delta.sizes()) return false;
  node->add_post_hook(std::make_unique<ElementwiseRule>(delta, delta_y));
  return true;
}

bool has_rule(const ag::Node& node) {
  const auto& hooks = node.post_hooks();
  return std::any_of(hooks.begin(), hooks.end(),
                     [](const auto& hook) { return dynamic_cast<RescaleRule*>(hook.get()); });
}

}  // namespace gradcam
