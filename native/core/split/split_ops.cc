#include "split_ops.h"

#include <torch/csrc/jit/runtime/custom_operator.h>

#include <memory>
#include <utility>

#include "core/autograd/batch_norm_node.h"
#include "core/autograd/relu_node.h"
#include "core/kernels/equal_convolution.h"
#include "core/kernels/fixed_batch_norm.h"
#include "core/kernels/fixed_convolution.h"
#include "split_graph.h"

namespace gradcam {

namespace jit = torch::jit;

namespace ops {
const c10::Symbol check_cancelled = c10::Symbol::fromQualString("gradcam::check_cancelled");
const c10::Symbol fixed_batch_norm = c10::Symbol::fromQualString("gradcam::fixed_batch_norm");
const c10::Symbol fixed_convolution = c10::Symbol::fromQualString("gradcam::fixed_convolution");
const c10::Symbol fused_convolution = c10::Symbol::fromQualString("gradcam::fused_convolution");
const c10::Symbol equal_convolution = c10::Symbol::fromQualString("gradcam::equal_convolution");
const c10::Symbol gated_convolution = c10::Symbol::fromQualString("gradcam::gated_convolution");
const c10::Symbol to_layout = c10::Symbol::fromQualString("gradcam::to_layout");
const c10::Symbol masked_relu = c10::Symbol::fromQualString("gradcam::masked_relu");
const c10::Symbol masked_relu_ = c10::Symbol::fromQualString("gradcam::masked_relu_");
const c10::Symbol constant_batch_norm = c10::Symbol::fromQualString("gradcam::constant_batch_norm");
}  // namespace ops

namespace {

thread_local const CancelFlag* current_cancel = nullptr;
thread_local std::vector<NodePtr>* current_notes = nullptr;

void run_check_cancelled(jit::Stack&) {
  if (current_cancel) current_cancel->check();
}

void run_fixed_batch_norm(jit::Stack& stack) {
  const bool relu = jit::pop(stack).toBool();
  const auto shift = jit::pop(stack).toTensor(), scale = jit::pop(stack).toTensor();
  const auto inputs = jit::pop(stack).toTensorVector();
  jit::push(stack, fixed_batch_norm(inputs, scale, shift, relu));
}

void run_to_layout(jit::Stack& stack) {
  const bool channels_last = jit::pop(stack).toBool();
  const auto tensor = jit::pop(stack).toTensor();
  const bool is_image = tensor.dim() == 4 && tensor.is_floating_point();
  if (channels_last)
    jit::push(stack, is_image ? tensor.contiguous(at::MemoryFormat::ChannelsLast) : tensor);
  else
    jit::push(stack, is_image && tensor.is_contiguous(at::MemoryFormat::ChannelsLast) ? tensor.contiguous() : tensor);
}

template <bool in_place>
void run_masked_relu(jit::Stack& stack) {
  const bool of_module = jit::pop(stack).toBool();
  auto result = gradcam::masked_relu(jit::pop(stack).toTensor(), in_place, of_module);
  // One of LibTorch's own does not know whether it is a module.
  if (of_module && current_notes)
    if (auto node = relu_that_made(result)) current_notes->push_back(std::move(node));
  jit::push(stack, std::move(result));
}

void run_constant_batch_norm(jit::Stack& stack) {
  BatchNormConstants constants;
  constants.epsilon = jit::pop(stack).toDouble();
  for (auto* tensor : {&constants.variance, &constants.mean, &constants.bias, &constants.weight})
    if (const auto given = jit::pop(stack).toOptional<at::Tensor>()) *tensor = *given;
  jit::push(stack, fixed_statistics_batch_norm(jit::pop(stack).toTensor(), constants));
}

// The convolution of a node whose inputs from `weight` on are constants: each node has a convolution of its own.
c10::intrusive_ptr<FixedConvolution> convolution_of(const jit::Node* node, size_t weight) {
  const auto constant = [&](size_t i) { return jit::toIValue(node->input(weight + i)).value(); };
  const auto own = constant(0).toTensor();
  return c10::make_intrusive<FixedConvolution>(
      constant(1).isNone() ? ConvolutionWeight(own) : ConvolutionWeight::scaled(own, constant(1).toTensor()),
      constant(2).toOptional<at::Tensor>(),
      ConvolutionShape{constant(3).toIntVector(), constant(4).toIntVector(), constant(5).toIntVector(),
                       constant(6).toInt()},
      constant(7).toBool());
}

jit::Operation make_fixed_convolution(const jit::Node* node) {
  return [convolution = convolution_of(node, 1)](jit::Stack& stack) {
    jit::drop(stack, 8);  // the constants
    const auto input = jit::pop(stack).toTensor();
    jit::push(stack, fixed_convolution(convolution, input));
  };
}

// Of a node whose inputs from `weight` on are constants.
c10::intrusive_ptr<EqualConvolution> equal_convolution_of(const jit::Node* node, size_t weight) {
  const auto constant = [&](size_t i) { return jit::toIValue(node->input(weight + i)).value(); };
  return c10::make_intrusive<EqualConvolution>(constant(0).toTensor(), constant(1).toOptional<at::Tensor>(),
                                               ConvolutionShape{constant(2).toIntVector(), constant(3).toIntVector(),
                                                                constant(4).toIntVector(), constant(5).toInt()});
}

jit::Operation make_equal_convolution(const jit::Node* node) {
  return [convolution = equal_convolution_of(node, 1)](jit::Stack& stack) {
    jit::drop(stack, 6);  // the constants
    const auto input = jit::pop(stack).toTensor();
    jit::push(stack, EqualConvolution::apply(convolution, input));
  };
}

jit::Operation make_gated_convolution(const jit::Node* node) {
  return [convolution = gated_convolution_of(node)](jit::Stack& stack) {
    jit::drop(stack, 12);  // the constants
    const auto inputs = jit::pop(stack).toTensorVector();
    jit::push(stack, GatedConvolution::apply(convolution, inputs));
  };
}

jit::Operation make_fused_convolution(const jit::Node* node) {
  std::optional<ChannelAffine> before;
  const auto scale = jit::toIValue(node->input(2)).value(), shift = jit::toIValue(node->input(3)).value();
  if (!scale.isNone())
    before = ChannelAffine{scale.toTensor(), shift.toTensor(), jit::toIValue(node->input(4)).value().toBool()};
  return [convolution = convolution_of(node, 5), before](jit::Stack& stack) {
    jit::drop(stack, 11);  // the constants
    const auto residual = jit::pop(stack).toOptional<at::Tensor>();
    const auto inputs = jit::pop(stack).toTensorVector();
    jit::push(stack, convolution->run_fused(inputs, before ? &*before : nullptr, residual ? &*residual : nullptr));
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
      jit::Operator("gradcam::fused_convolution(...) -> Tensor", make_fused_convolution,
                    c10::AliasAnalysisKind::PURE_FUNCTION),
      jit::Operator("gradcam::equal_convolution(...) -> Tensor", make_equal_convolution,
                    c10::AliasAnalysisKind::PURE_FUNCTION),
      jit::Operator("gradcam::gated_convolution(...) -> Tensor", make_gated_convolution,
                    c10::AliasAnalysisKind::PURE_FUNCTION),
      jit::Operator("gradcam::to_layout(Tensor tensor, bool channels_last) -> Tensor", run_to_layout,
                    c10::AliasAnalysisKind::CONSERVATIVE),
      jit::Operator("gradcam::masked_relu(Tensor input, bool of_module) -> Tensor", run_masked_relu<false>,
                    c10::AliasAnalysisKind::FROM_SCHEMA),
      jit::Operator("gradcam::masked_relu_(Tensor(a!) input, bool of_module) -> Tensor(a!)", run_masked_relu<true>,
                    c10::AliasAnalysisKind::FROM_SCHEMA),
      jit::Operator("gradcam::constant_batch_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor mean, Tensor "
                    "variance, float epsilon) -> Tensor",
                    run_constant_batch_norm, c10::AliasAnalysisKind::FROM_SCHEMA),
  });
}

c10::intrusive_ptr<GatedConvolution> gated_convolution_of(const jit::Node* node) {
  const auto constant = [&](size_t i) { return jit::toIValue(node->input(i)).value(); };
  const auto tensor = [&](size_t i) { return constant(i).isNone() ? at::Tensor() : constant(i).toTensor(); };
  return GatedConvolution::make(
      {{tensor(1), tensor(2), tensor(3), tensor(4), constant(5).toDouble()}, constant(6).toBool()},
      equal_convolution_of(node, 7));
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
      turn->prependNode(loop->owningGraph()->create(ops::check_cancelled, 0));
  }
}

void remove_checks(jit::Graph& graph) {
  std::vector<jit::Node*> checks;
  for_each_node(graph.block(), [&](jit::Node* node) {
    if (node->kind() == ops::check_cancelled) checks.push_back(node);
  });
  for (auto* check : checks) check->destroy();
}

ReluNotes::ReluNotes(std::vector<NodePtr>& found) : outer_(std::exchange(current_notes, &found)) {}
ReluNotes::~ReluNotes() { current_notes = outer_; }

CancelScope::CancelScope(const CancelFlag* cancel) : outer_(std::exchange(current_cancel, cancel)) {}
CancelScope::~CancelScope() { current_cancel = outer_; }

}  // namespace gradcam
