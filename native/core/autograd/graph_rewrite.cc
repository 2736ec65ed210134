#include "graph_rewrite.h"

#include <unordered_map>

#include "in_place_view.h"

namespace gradcam {

void rewrite_graph(const std::vector<torch::Tensor>& ends, const Rewrite& rewrite) {
  std::unordered_map<const void*, NodePtr> replacements;  // of every node seen; itself where it is kept
  std::vector<NodePtr> todo;
  for (const auto& end : ends) {
    const auto& node = end.grad_fn();
    if (!node || !replacements.emplace(node.get(), node).second) continue;
    rewrite(node, false);
    todo.push_back(node);
  }
  while (!todo.empty()) {
    const auto above = std::move(todo.back());
    todo.pop_back();
    for (auto& edge : above->next_edges()) {
      if (!edge.function) continue;
      auto [entry, is_new] = replacements.emplace(edge.function.get(), edge.function);
      if (is_new) {
        if (auto instead = rewrite(edge.function, true)) entry->second = std::move(instead);
        todo.push_back(entry->second);
      }
      edge.function = entry->second;
    }
    update_edges_inside(*above);
  }
}

void merge_nodes(const std::vector<torch::Tensor>& ends, const Merge& merge) {
  std::unordered_map<torch::autograd::Node*, int64_t> uses;
  std::vector<NodePtr> nodes;
  const auto use = [&](const NodePtr& node) {
    if (node && uses[node.get()]++ == 0) nodes.push_back(node);
  };
  for (const auto& end : ends) use(end.grad_fn());
  for (size_t i = 0; i < nodes.size(); ++i)
    for (const auto& edge : nodes[i]->next_edges()) use(edge.function);
  for (const auto& node : nodes) {
    if (node->num_outputs() != 1) continue;
    const NodePtr below = node->next_edge(0).function;
    if (below && uses[below.get()] == 1) merge(*node, below);
  }
}

bool is_watched(torch::autograd::Node& node) {
  return !node.pre_hooks().empty() || !node.post_hooks().empty() || !node.tensor_pre_hooks().empty() ||
         !node.retains_grad_hooks().empty();
}

}  // namespace gradcam
