#include "gradient_holes.h"

#include <c10/util/Exception.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <typeinfo>
#include <unordered_set>

namespace gradcam {

using torch::Tensor;

namespace {

bool is_hole(const torch::autograd::Node& node) {
  return std::strstr(typeid(node).name(), "NotImplemented") != nullptr;
}

// Keeps the first warning of a scope to itself.
class FirstWarning : public c10::WarningHandler {
 public:
  void process(const c10::Warning& warning) override {
    if (text.empty()) text = warning.msg();
  }
  std::string text;
};

// Only the node's own text names its operator: without gradients, it does nothing else than to warn or to throw.
std::string operator_of(torch::autograd::Node& node) {
  FirstWarning warning;
  const c10::WarningUtils::WarningHandlerGuard guard(&warning);
  try {
    node(torch::autograd::variable_list(node.num_inputs()));
  } catch (const std::exception& e) {
    return operator_named_in(e.what());
  }
  return operator_named_in(warning.text);
}

// Every node that can be reached from `from`, and `from` itself.
std::unordered_set<torch::autograd::Node*> reachable(torch::autograd::Node* from) {
  std::unordered_set<torch::autograd::Node*> seen{from};
  std::vector<torch::autograd::Node*> next{from};
  while (!next.empty()) {
    auto* node = next.back();
    next.pop_back();
    for (const auto& edge : node->next_edges())
      if (edge.function && seen.insert(edge.function.get()).second) next.push_back(edge.function.get());
  }
  return seen;
}

}  // namespace

std::string operator_named_in(const std::string& text) {
  const std::string before = "derivative for '";
  if (const auto at = text.find(before); at != std::string::npos) {
    const auto from = at + before.size();
    return text.substr(from, text.find('\'', from) - from);
  }
  const auto colons = text.find("::");
  if (colons == std::string::npos) return "an operator";
  const auto is_name = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.'; };
  auto from = colons, to = colons + 2;
  while (from > 0 && is_name(text[from - 1])) --from;
  while (to < text.size() && is_name(text[to])) ++to;
  return text.substr(from, to - from);
}

std::vector<std::string> operators_without_gradient(const Tensor& score, const std::vector<Tensor>& differentiated_by) {
  std::vector<std::string> operators;
  if (!score.grad_fn()) return operators;
  std::vector<torch::autograd::Edge> ends;
  for (const auto& tensor : differentiated_by)
    if (tensor.requires_grad()) ends.push_back(torch::autograd::impl::gradient_edge(tensor));
  for (auto* node : reachable(score.grad_fn().get())) {
    if (!is_hole(*node)) continue;
    const auto below = reachable(node);
    if (std::none_of(ends.begin(), ends.end(), [&](const auto& end) { return below.count(end.function.get()) > 0; }))
      continue;
    const auto name = operator_of(*node);
    if (std::find(operators.begin(), operators.end(), name) == operators.end()) operators.push_back(name);
  }
  std::sort(operators.begin(), operators.end());
  return operators;
}

}  // namespace gradcam
