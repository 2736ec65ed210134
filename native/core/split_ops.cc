#include "split_ops.h"

#include <torch/csrc/jit/runtime/custom_operator.h>

#include <utility>

#include "convolution_relu.h"
#include "fixed_batch_norm.h"

namespace gradcam {

namespace jit = torch::jit;

namespace ops {
const c10::Symbol check_cancelled = c10::Symbol::fromQualString("gradcam::check_cancelled");
const c10::Symbol fixed_batch_norm = c10::Symbol::fromQualString("gradcam::fixed_batch_norm");
const c10::Symbol convolution_relu = c10::Symbol::fromQualString("gradcam::convolution_relu");
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

void run_convolution_relu(jit::Stack& stack) {
  const bool relu = jit::pop(stack).toBool();
  const auto groups = jit::pop(stack).toInt();
  const auto dilation = jit::pop(stack).toIntVector(), padding = jit::pop(stack).toIntVector();
  const auto stride = jit::pop(stack).toIntVector();
  const auto bias = jit::pop(stack).toOptional<at::Tensor>();
  const auto weight = jit::pop(stack).toTensor(), input = jit::pop(stack).toTensor();
  jit::push(stack, convolution_relu(input, weight, bias, {stride, padding, dilation, groups}, relu));
}

}  // namespace

void register_operators() {
  static const jit::RegisterOperators registered({
      jit::Operator("gradcam::check_cancelled() -> ()", run_check_cancelled, c10::AliasAnalysisKind::CONSERVATIVE),
      jit::Operator("gradcam::fixed_batch_norm(Tensor[] inputs, Tensor scale, Tensor shift, bool relu) -> Tensor",
                    run_fixed_batch_norm, c10::AliasAnalysisKind::FROM_SCHEMA),
      jit::Operator("gradcam::convolution_relu(Tensor input, Tensor weight, Tensor? bias, int[] stride, int[] padding, "
                    "int[] dilation, int groups, bool relu) -> Tensor",
                    run_convolution_relu, c10::AliasAnalysisKind::FROM_SCHEMA),
  });
}

CancelScope::CancelScope(const CancelFlag* cancel) : outer_(std::exchange(current_cancel, cancel)) {}
CancelScope::~CancelScope() { current_cancel = outer_; }

}  // namespace gradcam
