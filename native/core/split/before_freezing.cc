#include "before_freezing.h"

#include <torch/csrc/jit/ir/alias_analysis.h>

#include <algorithm>
#include <string>
#include <unordered_set>
#include <vector>

#include "core/graphs/known_values.h"
#include "core/graphs/operators.h"
#include "split_graph.h"

namespace gradcam {

namespace jit = torch::jit;
using jit::Node;

namespace {

using Kinds = std::unordered_set<std::string>;

bool returns_input_when_off(const Node* node) {
  static const Kinds kinds{"dropout",  "feature_dropout",  "alpha_dropout",  "feature_alpha_dropout",
                           "dropout_", "feature_dropout_", "alpha_dropout_", "feature_alpha_dropout_"};
  return is_one_of(node, kinds);
}

// The operators of LibTorch 2.13 that may return their input, or a view of it, though their schemas say nothing of
// that: found by calling all of them and looking at the memory of what they return.
bool may_return_input(const Node* node) {
  static const Kinds kinds{"atleast_1d",
                           "atleast_2d",
                           "atleast_3d",
                           "broadcast_tensors",
                           "cartesian_prod",
                           "chain_matmul",
                           "conj_physical",
                           "data",
                           "dequantize",
                           "flatten_dense_tensors",
                           "lift",
                           "meshgrid",
                           "sum_to_size",
                           "type_as",
                           "unflatten_dense_tensors",
                           "unsafe_chunk",
                           "unsafe_split",
                           "unsafe_split_with_sizes",
                           "_cast_Double",
                           "_cast_Float",
                           "_cast_Half",
                           "_to_cpu",
                           "_unsafe_view"};
  if (node->kind() == c10::aten::einsum) {
    const auto* operands = node->input(1)->node();  // of several it returns products
    return operands->kind() != c10::prim::ListConstruct || operands->inputs().size() < 2;
  }
  return returns_input_when_off(node) || is_one_of(node, kinds);
}

bool changes_a_tensor(const Node* node) {
  const auto written = written_inputs(node);
  return node->kind().is_aten() && std::any_of(written.begin(), written.end(), [](const jit::Value* value) {
           return value->type()->isSubtypeOf(*c10::TensorType::get());
         });
}

// Returns its input, a view of it or a copy, as its layout in memory allows.
bool depends_on_layout(const Node* node) {
  static const Kinds kinds{"contiguous", "reshape", "reshape_as", "flatten", "ravel", "to"};
  return is_one_of(node, kinds);
}

bool is_in_loop(const Node* node) {
  for (const auto* block = node->owningBlock(); block->owningNode(); block = block->owningNode()->owningBlock())
    if (block->owningNode()->kind() == c10::prim::Loop) return true;
  return false;
}

void refuse_change_by_layout(jit::Graph& graph, const std::vector<Node*>& changes, const std::vector<Node*>& copies) {
  if (changes.empty() || copies.empty()) return;
  const jit::AliasDb aliases(graph.shared_from_this());
  for (auto* copy : copies)
    for (auto* change : changes) {
      // In a loop, what comes before an operator comes after it as well.
      if (!change->isAfter(copy) && !is_in_loop(change)) continue;
      if (aliases.mayContainAlias(change->input(0), copy->output()))
        throw CannotSplit(std::string(change->kind().toQualString()) + " changes in place what " +
                          copy->kind().toQualString() + " may have copied in another memory layout");
    }
}

bool has_relu_rule(const Node* node) {
  static const Kinds kinds{"relu", "relu6", "hardtanh", "clamp_min", "clamp", "threshold"};
  return is_one_of(node, kinds);
}

}  // namespace

void prepare_freezing(jit::Graph& graph, const c10::ivalue::Object* self, bool keeps_relus) {
  Frame frame{&graph, ""};
  frame.self = self;
  std::vector<Node*> off, relus, changes, copies;
  const Node* hidden = nullptr;
  for_each_that_may_run(frame, graph.block(), [&](Node* node) {
    if (returns_input_when_off(node) && is_always(false, frame, node, "train")) return off.push_back(node);
    if (may_return_input(node)) hidden = node;
    if (node->kind() == c10::aten::as_strided)
      throw CannotSplit("aten::as_strided reads memory, which a split lays out otherwise");
    if (changes_a_tensor(node)) changes.push_back(node);
    if (depends_on_layout(node)) copies.push_back(node);
    if (has_relu_rule(node)) relus.push_back(node);
  });
  if (hidden && !changes.empty())
    throw CannotSplit(std::string(hidden->kind().toQualString()) + " may return its input, which " +
                      changes.front()->kind().toQualString() + " could change in place");
  for (auto* node : off) {
    node->output()->replaceAllUsesWith(node->input(0));
    node->destroy();
  }
  refuse_change_by_layout(graph, changes, copies);
  if (!keeps_relus) return;
  // Nodes with different attributes are never merged.
  static const auto kOwn = c10::Symbol::attr("gradcam_relu");
  int64_t count = 0;
  for (auto* node : relus) node->i_(kOwn, count++);
}

}  // namespace gradcam
