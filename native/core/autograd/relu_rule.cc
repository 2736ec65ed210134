#include "relu_rule.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/generated/Functions.h>

#include <algorithm>
#include <array>
#include <memory>

#include "relu_node.h"

namespace gradcam {

namespace ag = torch::autograd;

namespace {

// Runs after the node's own backward: `mine` is its result, `above` its argument.
struct ReluPostHook : ag::FunctionPostHook {
  explicit ReluPostHook(ReluRule rule) : rule_(rule) {}

  ag::variable_list operator()(const ag::variable_list& mine, const ag::variable_list& above) override {
    ag::variable_list ruled;
    for (const auto& gradient : rule_ == ReluRule::guided ? mine : above)
      ruled.push_back(gradient.defined() ? gradient.clamp_min(0) : gradient);
    return ruled;
  }

 private:
  ReluRule rule_;
};

bool is_relu(const ag::Node& node) {
  if (node.name() == "ReluBackward0") return true;
  const auto* clipped = dynamic_cast<const ag::generated::HardtanhBackward0*>(&node);
  return clipped && clipped->min_val.toDouble() == 0;  // ReLU6 and its like
}

// Nonlinearities that are used where a ReLU could be. Sigmoid, tanh and softmax are gates and outputs, and keep their
// gradient.
bool is_other_activation(const std::string& name) {
  constexpr std::array kNames = {"GeluBackward0",        "SiluBackward0", "LeakyReluBackward0",     "EluBackward0",
                                 "HardtanhBackward0",    "MishBackward0", "HardswishBackward0",     "SoftplusBackward0",
                                 "PreluKernelBackward0", "CeluBackward0", "RreluWithNoiseBackward0"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

}  // namespace

bool is_relu_output(const Tensor& output) {
  const auto node = output.grad_fn();
  return node && is_relu(*node);
}

ReluRuler::ReluRuler(ReluRule rule, const std::vector<NodePtr>* among) : rule_(rule) {
  if (!among) return;
  among_.emplace();
  for (const auto& node : *among) among_->insert(node.get());
}

NodePtr ReluRuler::operator()(const NodePtr& node, bool replaceable) {
  if (!is_relu(*node)) {
    if (is_other_activation(node->name())) other_ = node->name().substr(0, node->name().find("Backward"));
    return {};
  }
  if (among_ && !among_->count(node.get())) return {};
  ++count_;
  if (replaceable)
    if (auto ruled = relu_node(node, rule_)) return ruled;
  node->add_post_hook(std::make_unique<ReluPostHook>(rule_));
  return {};
}

}  // namespace gradcam
