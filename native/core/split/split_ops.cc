#include "split_ops.h"

#include <torch/csrc/jit/runtime/custom_operator.h>

#include <memory>
#include <utility>

#include "core/kernels/fixed_batch_norm.h"
#include "core/kernels/fixed_convolution.h"
#include "split_graph.h"

namespace gradcam {

namespace jit = torch::jit;

namespace ops {
const c10::Symbol check_cancelled = c10::Symbol::fromQualString("gradcam::check_cancelled");
const c10::Symbol fixed_batch_norm = c10::Symbol::fromQualString("gradcam::fixed_batch_norm");
const c10::Symbol fixed_convolution = c10::Symbol::fromQualString("gradcam::fixed_convolution");
}  // namespace ops

namespace {

thread_local const CancelFlag* current_cancel = nullptr;

void run_check_cancelled(jit::Stack&) {
  if (current_cancel) current_cancel->check();
}

void run_fixed_batch_norm(jit::Stack& stack) {
  const bool relu = jit::pop(stack).toBool();
  const auto shift = jit::pop(stack).toTensor(), scale = jit::pop(stack).toTensor();
  const auto inputs = jit::pop(stack).toTensorVector();
  jit::push(stack, fixed_batch_norm(inputs, scale, shift, relu));
}

// The parameters of the node are constants: each node has a convolution of its own.
jit::Operation make_fixed_convolution(const jit::Node* node) {
  const auto constant = [&](size_t i) { return jit::toIValue(node->input(i)).value(); };
  auto convolution =
      c10::make_intrusive<FixedConvolution>(constant(1).toTensor(), constant(2).toOptional<at::Tensor>(),
                                            ConvolutionShape{constant(3).toIntVector(), constant(4).toIntVector(),
                                                             constant(5).toIntVector(), constant(6).toInt()},
                                            constant(7).toBool());
  return [convolution](jit::Stack& stack) {
    jit::drop(stack, 7);  // the constants
    const auto input = jit::pop(stack).toTensor();
    jit::push(stack, fixed_convolution(convolution, input));
  };
}

}  // namespace

void register_operators() {
  static const jit::RegisterOperators registered({
      jit::Operator("gradcam::check_cancelled() -> ()", run_check_cancelled, c10::AliasAnalysisKind::CONSERVATIVE),
      jit::Operator("gradcam::fixed_batch_norm(Tensor[] inputs, Tensor scale, Tensor shift, bool relu) -> Tensor",
                    run_fixed_batch_norm, c10::AliasAnalysisKind::FROM_SCHEMA),
      // The interpreter makes an operation per node only for operators with varying arguments ("...").
      jit::Operator("gradcam::fixed_convolution(...) -> Tensor", make_fixed_convolution,
                    c10::AliasAnalysisKind::PURE_FUNCTION),
  });
}

void check_loops(jit::Graph& graph) {
  register_operators();
  std::vector<jit::Node*> loops;
  for_each_node(graph.block(), [&](jit::Node* node) {
    if (node->kind() == c10::prim::Loop) loops.push_back(node);
  });
  for (auto* loop : loops) {
    auto* turn = loop->blocks().at(0);
    if (turn->nodes().begin()->kind() != ops::check_cancelled)  // as in a copy of a graph that has them
      turn->prependNode(graph.create(ops::check_cancelled, 0));
  }
}

void remove_checks(jit::Graph& graph) {
  std::vector<jit::Node*> checks;
  for_each_node(graph.block(), [&](jit::Node* node) {
    if (node->kind() == ops::check_cancelled) checks.push_back(node);
  });
  for (auto* check : checks) check->destroy();
}

CancelScope::CancelScope(const CancelFlag* cancel) : outer_(std::exchange(current_cancel, cancel)) {}
CancelScope::~CancelScope() { current_cancel = outer_; }

}  // namespace gradcam
