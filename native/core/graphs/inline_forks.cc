#include "inline_forks.h"

#include <functional>
#include <unordered_set>
#include <vector>

namespace gradcam {

namespace jit = torch::jit;
using jit::Block;
using jit::Node;

namespace {

void for_each(Block* block, const std::function<void(Node*)>& fn) {
  for (auto* node : block->nodes()) {
    fn(node);
    for (auto* inner : node->blocks()) for_each(inner, fn);
  }
}

bool is_waited_for_alone(const Node* fork) {
  for (const auto& use : fork->output()->uses())
    if (use.user->kind() != c10::aten::wait) return false;
  return true;
}

}  // namespace

bool inline_forks(jit::Graph& graph) {
  std::unordered_set<Node*> left;
  for (;;) {
    Node* fork = nullptr;
    for_each(graph.block(), [&](Node* node) {
      if (!fork && node->kind() == c10::prim::fork && !left.count(node)) fork = node;
    });
    if (!fork) return !left.empty();
    if (!is_waited_for_alone(fork)) {
      left.insert(fork);
      continue;
    }
    const jit::WithInsertPoint here(fork);
    auto* result = jit::insertGraph(graph, *fork->g(c10::attr::Subgraph), fork->inputs()).at(0);
    for (const auto& use : std::vector<jit::Use>(fork->output()->uses())) {
      use.user->output()->replaceAllUsesWith(result);
      use.user->destroy();
    }
    fork->destroy();
  }
}

}  // namespace gradcam
