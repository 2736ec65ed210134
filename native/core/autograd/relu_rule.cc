#include "relu_rule.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/generated/Functions.h>

#include <algorithm>
#include <array>
#include <memory>

#include "in_place_view.h"
#include "relu_node.h"

namespace gradcam {

namespace ag = torch::autograd;

namespace {

// `mine` is the result of the ReLU's own backward, `above` its argument.
ag::variable_list ruled(ReluRule rule, const ag::variable_list& mine, const ag::variable_list& above) {
  ag::variable_list gradients;
  for (const auto& gradient : rule == ReluRule::guided ? mine : above)
    gradients.push_back(gradient.defined() ? gradient.clamp_min(0) : gradient);
  return gradients;
}

// Runs after the node's own backward.
struct ReluPostHook : ag::FunctionPostHook {
  explicit ReluPostHook(ReluRule rule) : rule_(rule) {}

  ag::variable_list operator()(const ag::variable_list& mine, const ag::variable_list& above) override {
    return ruled(rule_, mine, above);
  }

 private:
  ReluRule rule_;
};

// The same for a node that another node calls, without its hooks.
class RuledNode : public ag::Node {
 public:
  RuledNode(NodePtr relu, ReluRule rule) : relu_(std::move(relu)), rule_(rule) {
    set_next_edges(ag::edge_list(relu_->next_edges()));  // which its caller compares with its own
  }

  ag::variable_list apply(ag::variable_list&& above) override {
    return ruled(rule_, (*relu_)(ag::variable_list(above)), above);
  }

  std::string name() const override { return "RuledReluBackward"; }
  void release_variables() override { relu_->release_variables(); }

 private:
  NodePtr relu_;
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

NodePtr relu_that_made(const Tensor& output) {
  // A view gets a new node when its memory changes; the ReLU is in the node of the tensor that it is a view of.
  if (output.is_view())
    if (auto node = output._base().grad_fn(); node && in_place_on_view(*node) && is_relu(**in_place_on_view(*node)))
      return node;
  auto node = output.grad_fn();
  return node && is_relu(*node) ? node : NodePtr{};
}

ReluRuler::ReluRuler(ReluRule rule, const std::vector<NodePtr>* among) : rule_(rule) {
  if (!among) return;
  among_.emplace();
  for (const auto& node : *among) among_->insert(node.get());
}

bool ReluRuler::rules(const NodePtr& node, const ag::Node& activation) {
  if (!is_relu(activation)) {
    if (is_other_activation(activation.name()))
      other_ = activation.name().substr(0, activation.name().find("Backward"));
    return false;
  }
  if (among_ && !among_->count(node.get())) return false;
  ++count_;
  return true;
}

NodePtr ReluRuler::operator()(const NodePtr& node, bool replaceable) {
  if (auto* own = dynamic_cast<OwnRelu*>(node.get())) {
    if (among_ && !own->of_module()) return {};
    own->follow(rule_);
    ++count_;
    return {};
  }
  if (auto* inner = in_place_on_view(*node)) {
    if (rules(node, **inner)) *inner = make_node<RuledNode>(*inner, rule_);
    return {};
  }
  if (!rules(node, *node)) return {};
  if (replaceable)
    if (auto ruled = relu_node(node, rule_)) return ruled;
  node->add_post_hook(std::make_unique<ReluPostHook>(rule_));
  return {};
}

}  // namespace gradcam
