#include "split.h"

#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/passes/freeze_module.h>
#include <torch/csrc/jit/passes/frozen_graph_optimizations.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include "before_freezing.h"
#include "core/base/error.h"
#include "core/graphs/state_writes.h"
#include "core/kernels/tile_product.h"
#include "equal_rewrites.h"
#include "fixed_rewrites.h"
#include "fused_convolutions.h"
#include "image_flow.h"
#include "image_parts.h"
#include "split_bytes.h"
#include "split_dump.h"
#include "split_graph.h"
#include "split_ops.h"

namespace gradcam {

namespace jit = torch::jit;

namespace {

// Converts floating-point constants, except those of batch norms, which take float32 with inputs of any type.
void convert_constants(jit::Graph& graph, at::ScalarType dtype) {
  for_each_node(graph.block(), [&](jit::Node* node) {
    if (node->kind() != c10::prim::Constant || node->outputs().empty()) return;
    if (!node->hasAttribute(c10::attr::value) || node->kindOf(c10::attr::value) != jit::AttributeKind::t) return;
    const auto value = node->t(c10::attr::value);
    if (!value.is_floating_point()) return;
    for (const auto& use : node->output()->uses())
      if (is_of_batch_norm(use)) return;
    node->t_(c10::attr::value, value.to(dtype));
    node->output()->setType(c10::TensorType::get());
  });
}

IValue convert_floats(const IValue& value, at::ScalarType dtype) {
  return map_tensors(value, [&](const Tensor& t) { return t.is_floating_point() ? t.to(dtype) : t; });
}

// At the input, ReLUs stay nodes of their own; a head of another type has other weights in any case.
void optimize(std::shared_ptr<jit::Graph>& graph, const SplitPlan& plan) {
  if (!plan.at_input && !plan.head_dtype) fold_batch_norms(*graph);
  jit::OptimizeFrozenGraph(graph, /*optimize_numerics=*/true);
}

bool has_convolution(jit::Graph& graph) {
  bool found = false;
  for_each_node(graph.block(), [&](const jit::Node* node) {
    found |= is_convolution(node) || node->kind() == ops::fixed_convolution || node->kind() == ops::equal_convolution ||
             node->kind() == ops::gated_convolution;
  });
  return found;
}

// Runs a function that returns a tuple.
std::vector<IValue> run(jit::Function& function, jit::Stack stack, const CancelFlag* cancel) {
  const CancelScope scope(cancel);
  // The profiling executor would fuse operators and hide ReLUs inside its own differentiable graphs.
  const jit::GraphOptimizerEnabledGuard unoptimized(false);
  try {
    function.run(stack);
  } catch (...) {
    if (cancel) cancel->check();  // the interpreter turned Cancelled into text
    throw;
  }
  return stack.back().toTupleRef().elements().vec();
}

}  // namespace

std::string SplitPlan::key() const {
  std::string key = at_input ? "input" : "layer";
  if (equally) key += " equally";
  if (head_dtype) key += std::string(" ") + c10::toString(*head_dtype);
  for (const auto& layer : layers) key += "\n" + layer;
  return key;
}

std::shared_ptr<SplitModel> SplitModel::build(const jit::Module& module, const SplitPlan& plan) try {
  if (plan.head_dtype)
    for (const auto& parameter : module.parameters())
      if (parameter.is_floating_point() && parameter.scalar_type() != at::kFloat)
        throw CannotSplit("a reduced precision is for models in float32, and the model's parameters are " +
                          std::string(c10::toString(parameter.scalar_type())));
  if (plan.equally && !tile_product())
    throw CannotSplit("no convolution has a kernel here that rounds as LibTorch's does");
  std::vector<IValue> weights;
  for (const auto& parameter : module.parameters()) weights.emplace_back(parameter);
  for (const auto& buffer : module.buffers()) weights.emplace_back(buffer);
  if (!all_finite(weights))
    throw CannotSplit("a parameter contains NaN or infinity, which the split model's operators would hide");
  const bool whole = plan.layers.empty() && !plan.at_input;
  auto counted = shared_storages(module);
  if (!whole) insert_taps(module, plan.layers);
  const auto unfrozen = module.get_method("forward").graph();
  jit::Inline(*unfrozen);  // as freezing does first: functions that are not methods have checks for cancellation, too
  remove_checks(*unfrozen);
  prepare_freezing(*unfrozen, module._ivalue().get(), /*keeps_relus=*/plan.at_input);
  // What is called in any case is still there when the graph is frozen, which takes long.
  if (plan.equally)
    for (const auto* node : unfrozen->nodes())
      if (node->kind().is_aten()) refuse_unequal(node);
  const auto inputs = unfrozen->inputs().size();
  const auto frozen = jit::freeze_module(module);
  auto graph = frozen.get_method("forward").graph();
  if (plan.equally)
    rewrite_equally(*graph);
  else
    optimize(graph, plan);

  std::shared_ptr<SplitModel> split(new SplitModel());
  split->plan_ = plan;
  split->takes_self_ = graph->inputs().size() == inputs;
  if (split->takes_self_) split->self_ = frozen._ivalue();
  split->unit_ = frozen._ivalue()->compilation_unit();
  auto graphs = whole           ? keep_whole(*graph)
                : plan.at_input ? cut_at_input(*graph, plan.layers.size())
                                : cut_at_first_tap(*graph, plan.layers.size());
  // A split runs on its own copy of the state, and freezing takes the values of now for constants.
  if (const auto writes = find_state_writes(*graph, /*self=*/nullptr); !writes.empty())
    throw CannotSplit("the model changes " + writes.text() + " as it runs");
  split->tap_layers_ = std::move(graphs.tap_layers);
  if (graphs.head) {
    rewrite_fixed(*graphs.head);
    fuse_convolutions(graphs.head);
    split->images_ = image_input(*graphs.head);
    if (plan.head_dtype) convert_constants(*graphs.head, *plan.head_dtype);
    insert_cancel_checks(*graphs.head);
    split->own_bytes_ += count_own_bytes(*graphs.head, /*packings=*/1, counted);
    split->head_ = std::make_unique<jit::GraphFunction>("head", graphs.head, nullptr);
  }
  if (graphs.tail) {
    const auto images = image_input(graphs.head.get(), *graphs.tail);
    split->records_in_parts_ = images == std::optional<size_t>(split->takes_self_) && has_convolution(*graphs.tail);
    // At the input every ReLU stays a node of its own, because the rules of guided backprop and deconvnet look for
    // them.
    if (!plan.at_input) rewrite_fixed(*graphs.tail);
    insert_cancel_checks(*graphs.tail);
    // A convolution that is differentiated has an adjoint, with weights in a memory order of its own.
    split->own_bytes_ += count_own_bytes(*graphs.tail, /*packings=*/3, counted);
    split->tail_ = std::make_unique<jit::GraphFunction>("tail", graphs.tail, nullptr);
  }
  dump_split_if_asked(plan, graphs.head.get(), graphs.tail.get());
  return split;
} catch (const CannotSplit&) {
  throw;
} catch (const Error&) {
  throw;
} catch (const std::exception& error) {
  if (is_out_of_memory(error)) throw;
  throw CannotSplit("the model cannot be frozen: " + concise_message(error));
}

Cut SplitModel::run_head(std::vector<IValue> inputs, const CancelFlag* cancel) const {
  if (!head_) return {std::move(inputs)};
  const at::NoGradGuard no_graph;
  if (plan_.head_dtype)
    for (auto& input : inputs) input = convert_floats(input, *plan_.head_dtype);
  if (takes_self_) inputs.insert(inputs.begin(), self_);
  unbind_image_lists(inputs, head_->getSchema(), /*first=*/0);
  const auto run_once = [&](std::vector<IValue> given) { return run(*head_, std::move(given), cancel); };
  auto values = images_ ? run_in_parts(std::move(inputs), *images_, run_once) : run_once(std::move(inputs));
  if (plan_.head_dtype)
    for (auto& value : values) value = convert_floats(value, at::kFloat);
  return {std::move(values)};
}

TailResult SplitModel::run_tail(const Cut& cut, const CancelFlag* cancel) const {
  jit::Stack stack(cut.values);
  if (stack[0].isTensor())
    stack[0] = stack[0].toTensor().clone();  // an in-place operator after the cut changes the copy
  if (plan_.at_input && takes_self_) stack.insert(stack.begin(), self_);
  if (plan_.at_input) unbind_image_lists(stack, tail_->getSchema(), /*first=*/0);
  const auto left = run(*tail_, std::move(stack), cancel);
  TailResult result{left[0], std::vector<Tensor>(plan_.layers.size())};
  const size_t given = plan_.at_input ? 0 : 1;  // the tail does not return the layer that the model is cut at
  if (given) result.activations[tap_layers_.front()] = cut.values[0].toTensor();
  for (size_t i = given; i < tap_layers_.size(); ++i)
    result.activations[tap_layers_[i]] = left[i + 1 - given].toTensor();
  return result;
}

IValue SplitModel::rerun_tail(Cut cut, const CancelFlag* cancel) const {
  const at::NoGradGuard no_grad;
  return run(*tail_, std::move(cut.values), cancel).front();
}

}  // namespace gradcam
