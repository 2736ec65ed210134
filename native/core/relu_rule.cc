#include "relu_rule.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>

#include <memory>
#include <type_traits>
#include <unordered_set>

namespace gradcam {

namespace ag = torch::autograd;

namespace {

struct KeepPositive : ag::FunctionPostHook {
  ag::variable_list operator()(const ag::variable_list& grad_inputs, const ag::variable_list&) override {
    ag::variable_list positive;
    for (const auto& gradient : grad_inputs) positive.push_back(gradient.defined() ? gradient.clamp_min(0) : gradient);
    return positive;
  }
};

bool is_relu(const ag::Node& node) { return node.name() == "ReluBackward0"; }

}  // namespace

bool guide_relu(const Tensor& output) {
  const auto node = output.grad_fn();
  if (!node || !is_relu(*node)) return false;
  node->add_post_hook(std::make_unique<KeepPositive>());
  return true;
}

int guide_all_relus(const std::vector<Tensor>& outputs) {
  int guided = 0;
  std::unordered_set<ag::Node*> seen;
  std::vector<ag::Node*> todo;
  for (const auto& output : outputs) todo.push_back(output.grad_fn().get());  // the tensors keep their graph alive
  while (!todo.empty()) {
    auto* node = todo.back();
    todo.pop_back();
    if (!node || !seen.insert(node).second) continue;
    if (is_relu(*node)) {
      node->add_post_hook(std::make_unique<KeepPositive>());
      ++guided;
    }
    for (const auto& edge : node->next_edges()) todo.push_back(edge.function.get());
  }
  return guided;
}

}  // namespace gradcam
