#include "attention_nodes.h"

#include <torch/csrc/autograd/generated/Functions.h>

#include <algorithm>
#include <unordered_set>

#include "autograd_node.h"

namespace gradcam {

namespace ag = torch::autograd;

namespace {

// What the node's operator returned, where that is an attention matrix; else undefined.
torch::Tensor matrix_of(const NodePtr& node) {
  auto* softmax = dynamic_cast<ag::generated::SoftmaxBackward0*>(node.get());
  if (!softmax) return {};
  auto result = softmax->result_.unpack(node);
  const bool is_square = result.dim() == 4 && result.size(2) == result.size(3) && result.size(3) > 1;
  const bool is_last = softmax->dim == -1 || softmax->dim == 3;
  return is_square && is_last ? result : torch::Tensor();
}

}  // namespace

std::vector<torch::Tensor> attention_matrices(const torch::Tensor& end) {
  struct Found {
    uint64_t order;
    torch::Tensor matrix;
  };
  std::vector<Found> found;
  std::unordered_set<const ag::Node*> seen;
  std::vector<NodePtr> todo;
  const auto visit = [&](const NodePtr& node) {
    if (node && seen.insert(node.get()).second) todo.push_back(node);
  };
  visit(end.grad_fn());
  while (!todo.empty()) {
    const auto node = std::move(todo.back());
    todo.pop_back();
    if (auto matrix = matrix_of(node); matrix.defined()) found.push_back({node->sequence_nr(), std::move(matrix)});
    for (const auto& edge : node->next_edges()) visit(edge.function);
  }
  std::sort(found.begin(), found.end(), [](const Found& a, const Found& b) { return a.order < b.order; });
  std::vector<torch::Tensor> matrices;
  for (auto& one : found) matrices.push_back(std::move(one.matrix));
  return matrices;
}

}  // namespace gradcam
