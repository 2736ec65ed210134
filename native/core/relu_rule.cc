#include "relu_rule.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/generated/Functions.h>

#include <algorithm>
#include <array>
#include <memory>
#include <unordered_set>

namespace gradcam {

namespace ag = torch::autograd;

namespace {

// Runs after the node's own backward: `mine` is what that made, `above` what it was given.
struct Rule : ag::FunctionPostHook {
  explicit Rule(ReluRule rule) : rule_(rule) {}

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

// Nonlinearities that stand where a ReLU might. Sigmoid, tanh and softmax are gates and outputs, and keep their gradient.
bool is_other_activation(const std::string& name) {
  constexpr std::array kNames = {"GeluBackward0",      "SiluBackward0", "LeakyReluBackward0",   "EluBackward0",
                                 "HardtanhBackward0",  "MishBackward0", "HardswishBackward0",   "SoftplusBackward0",
                                 "PreluKernelBackward0", "CeluBackward0", "RreluWithNoiseBackward0"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

}  // namespace

bool rule_relu(const Tensor& output, ReluRule rule) {
  const auto node = output.grad_fn();
  if (!node || !is_relu(*node)) return false;
  node->add_post_hook(std::make_unique<Rule>(rule));
  return true;
}

RuledRelus rule_all_relus(const std::vector<Tensor>& outputs, ReluRule rule) {
  RuledRelus ruled;
  std::unordered_set<ag::Node*> seen;
  std::vector<ag::Node*> todo;
  for (const auto& output : outputs) todo.push_back(output.grad_fn().get());  // the tensors keep their graph alive
  while (!todo.empty()) {
    auto* node = todo.back();
    todo.pop_back();
    if (!node || !seen.insert(node).second) continue;
    if (is_relu(*node)) {
      node->add_post_hook(std::make_unique<Rule>(rule));
      ++ruled.count;
    } else if (is_other_activation(node->name())) {
      ruled.other = node->name().substr(0, node->name().find("Backward"));
    }
    for (const auto& edge : node->next_edges()) todo.push_back(edge.function.get());
  }
  return ruled;
}

}  // namespace gradcam
