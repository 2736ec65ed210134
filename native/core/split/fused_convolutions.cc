#include "fused_convolutions.h"

#include <torch/csrc/jit/ir/alias_analysis.h>
#include <torch/script.h>

#include <algorithm>

#include "fixed_rewrites.h"
#include "split_graph.h"
#include "split_ops.h"

namespace gradcam {

namespace jit = torch::jit;
using at::IValue;
using jit::Node;
using jit::Value;

namespace {

// inputs, residual, scale, shift, whether a ReLU follows these; then the convolution's own arguments, all constant.
std::vector<Value*> fused_inputs(Value* list, Value* residual, Node* batch_norm, Node* convolution, jit::Graph& graph) {
  Value* none = residual && batch_norm ? nullptr : graph.insertConstant(IValue());
  std::vector<Value*> inputs{list, residual ? residual : none};
  if (batch_norm)
    inputs.insert(inputs.end(), batch_norm->inputs().begin() + 1, batch_norm->inputs().end());
  else
    inputs.insert(inputs.end(), {none, none, graph.insertConstant(false)});
  inputs.insert(inputs.end(), convolution->inputs().begin() + 1, convolution->inputs().end());
  return inputs;
}

struct ResidualSum {
  Node *convolution, *sum;
  size_t side;  // of the convolution; the residual is the other one, which an earlier fusion may have replaced
};

// A convolution without a ReLU whose output only `sum` reads, or null.
Node* summed_convolution(const Node* sum, size_t side) {
  auto* node = sum->input(side)->node();
  const bool plain = node->kind() == ops::fixed_convolution && jit::toIValue(node->inputs().back()) == IValue(false);
  return plain && node->output()->uses().size() == 1 && node->owningBlock() == sum->owningBlock() ? node : nullptr;
}

// Where a convolution can run as late as the sum that reads it: a residual may be computed after it.
std::vector<ResidualSum> find_residual_sums(const std::shared_ptr<jit::Graph>& graph) {
  std::vector<Node*> sums;
  for_each_node(graph->block(), [&](Node* node) {
    if (node->kind() == c10::aten::add || node->kind() == c10::aten::add_) sums.push_back(node);
  });
  if (sums.empty()) return {};
  jit::AliasDb aliases(graph);
  std::vector<ResidualSum> found;
  for (auto* sum : sums) {
    if (sum->inputs().size() != 3 || jit::toIValue(sum->input(2)) != IValue(1)) continue;
    const size_t sides = sum->kind() == c10::aten::add ? 2 : 1;  // in place it is the left side that is given up
    for (size_t side = 0; side < sides; ++side) {
      auto* convolution = summed_convolution(sum, side);
      if (!convolution || !sum->input(1 - side)->type()->isSubtypeOf(*c10::TensorType::get())) continue;
      if (!aliases.moveBeforeTopologicallyValid(convolution, sum)) continue;
      found.push_back({convolution, sum, side});
      break;
    }
  }
  return found;
}

void fuse_residual(jit::Graph& graph, const ResidualSum& found) {
  auto* relu = relu_after(found.sum);
  const jit::WithInsertPoint here(found.sum);
  auto* list = graph.insertNode(graph.createList(c10::TensorType::get(), {found.convolution->input(0)}))->output();
  auto inputs = fused_inputs(list, found.sum->input(1 - found.side), nullptr, found.convolution, graph);
  inputs.back() = graph.insertConstant(relu != nullptr);
  auto* fused = graph.insertNode(graph.create(ops::fused_convolution, inputs));
  replace_by(fused->output(), found.sum, relu);
  found.convolution->destroy();
}

// The batch norm whose output only the convolution reads, or null.
Node* batch_norm_before(const Node* convolution) {
  auto* node = convolution->input(0)->node();
  if (node->kind() != ops::fixed_batch_norm || node->owningBlock() != convolution->owningBlock()) return nullptr;
  return only_reader(node->output()) == convolution ? node : nullptr;
}

void fuse_batch_norm(jit::Graph& graph, Node* convolution) {
  auto* batch_norm = batch_norm_before(convolution);
  if (!batch_norm) return;
  // Where the batch norm was: a list that it reads may grow before the convolution.
  for (auto* input : convolution->inputs().slice(1))
    if (input->node()->isAfter(batch_norm)) input->node()->moveBefore(batch_norm);
  const jit::WithInsertPoint here(batch_norm);
  auto* fused = graph.insertNode(graph.create(
      ops::fused_convolution, fused_inputs(batch_norm->input(0), nullptr, batch_norm, convolution, graph)));
  convolution->output()->replaceAllUsesWith(fused->output());
  convolution->destroy();
  batch_norm->output()->replaceAllUsesWith(fused->output());
  batch_norm->destroy();
}

}  // namespace

void fuse_convolutions(const std::shared_ptr<jit::Graph>& graph) {
  for (const auto& found : find_residual_sums(graph)) fuse_residual(*graph, found);
  std::vector<Node*> convolutions;
  for_each_node(graph->block(), [&](Node* node) {
    if (node->kind() == ops::fixed_convolution) convolutions.push_back(node);
  });
  for (auto* node : convolutions) fuse_batch_norm(*graph, node);
}

}  // namespace gradcam
