#include "fixed_convolution.h"

#include <ATen/core/dispatch/Dispatcher.h>

namespace gradcam {

using torch::Tensor;

namespace {

// Operators of oneDNN's. What their C++ headers declare has changed between versions, their schemas have not: they are called
// by these.
std::optional<c10::OperatorHandle> find_operator(const char* name, size_t arguments) {
  if (!at::hasMKLDNN()) return {};
  auto found = c10::Dispatcher::singleton().findSchema({name, ""});
  if (found && found->schema().arguments().size() != arguments) found.reset();
  return found;
}

}  // namespace

FixedConvolution::FixedConvolution(Tensor weight, std::optional<Tensor> bias, ConvolutionShape shape, bool relu)
    : weight_(std::move(weight)), bias_(std::move(bias)), shape_(std::move(shape)), relu_(relu) {}

bool FixedConvolution::fits(const Tensor& input) const {
  const auto dtype = input.scalar_type();
  return (dtype == at::kFloat || dtype == at::kBFloat16) && input.dim() == 4 && weight_.dim() == 4 && input.device().is_cpu() &&
         weight_.scalar_type() == dtype && input.numel() > 0 && shape_.stride.size() == 2 && shape_.padding.size() == 2 &&
         shape_.dilation.size() == 2 && input.size(1) == weight_.size(1) * shape_.groups;
}

// The weight in the order that oneDNN wants for inputs of these sizes; otherwise it would be brought into it at each call.
const Tensor& FixedConvolution::packed_for(const Tensor& input) {
  // mkldnn::_reorder_convolution_weight(self, padding, stride, dilation, groups, input_size?)
  static const auto reorder = find_operator("mkldnn::_reorder_convolution_weight", 6);
  if (!reorder) return weight_;
  if (!packed_.defined() || packed_sizes_ != input.sizes()) {
    c10::Stack stack{weight_, shape_.padding, shape_.stride, shape_.dilation, shape_.groups, input.sizes().vec()};
    reorder->callBoxed(stack);
    packed_ = stack.back().toTensor();
    packed_sizes_ = input.sizes().vec();
  }
  return packed_;
}

std::optional<Tensor> FixedConvolution::run_by_onednn(const Tensor& input) {
  // mkldnn::_convolution_pointwise(X, W, B?, padding, stride, dilation, groups, attr, scalars, algorithm?)
  static const auto pointwise = find_operator("mkldnn::_convolution_pointwise", 10);
  if (!pointwise || !fits(input)) return {};
  try {
    const c10::List<c10::optional<at::Scalar>> scalars;
    c10::Stack stack{input, packed_for(input), bias_ ? at::IValue(*bias_) : at::IValue(), shape_.padding, shape_.stride,
                     shape_.dilation, shape_.groups, relu_ ? "relu" : "none", scalars, std::string()};
    pointwise->callBoxed(stack);
    return stack.back().toTensor();
  } catch (const c10::Error&) {
    return {};  // oneDNN has no kernel for this shape or type on this CPU
  }
}

Tensor FixedConvolution::run(const Tensor& input) {
  if (auto output = run_by_onednn(input)) return *output;
  auto output = at::convolution(input, weight_, bias_, shape_.stride, shape_.padding, shape_.dilation, /*transposed=*/false,
                                std::vector<int64_t>(shape_.stride.size(), 0), shape_.groups);
  return relu_ ? output.relu_() : output;
}

}  // namespace gradcam
