#include "convolution_relu.h"

#include <ATen/core/dispatch/Dispatcher.h>

namespace gradcam {

using torch::Tensor;

namespace {

// mkldnn::_convolution_pointwise(X, W, B?, padding, stride, dilation, groups, attr, scalars, algorithm?). What its C++
// headers declare has changed between versions, its schema has not: it is called by that.
std::optional<c10::OperatorHandle> find_pointwise() {
  if (!at::hasMKLDNN()) return {};
  auto found = c10::Dispatcher::singleton().findSchema({"mkldnn::_convolution_pointwise", ""});
  if (found && found->schema().arguments().size() != 10) found.reset();
  return found;
}

}  // namespace

Tensor convolution_relu(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias,
                        const ConvolutionShape& shape, bool relu) {
  static const auto pointwise = find_pointwise();
  const auto dtype = input.scalar_type();
  const bool fits = input.dim() == 4 && weight.dim() == 4 && input.device().is_cpu() && weight.scalar_type() == dtype &&
                    input.numel() > 0 && shape.stride.size() == 2 && shape.padding.size() == 2 &&
                    shape.dilation.size() == 2 && input.size(1) == weight.size(1) * shape.groups;
  // bfloat16 LibTorch itself gives to oneDNN, where the CPU has it.
  if (pointwise && fits && (dtype == at::kFloat || (dtype == at::kBFloat16 && relu))) {
    c10::List<c10::optional<at::Scalar>> scalars;
    c10::Stack stack{input, weight, bias ? at::IValue(*bias) : at::IValue(), shape.padding, shape.stride, shape.dilation,
                     shape.groups, relu ? "relu" : "none", scalars, std::string()};
    try {
      pointwise->callBoxed(stack);
      return stack.back().toTensor();
    } catch (const c10::Error&) {
      // oneDNN has no kernel for this shape or type on this CPU.
    }
  }
  auto output = at::convolution(input, weight, bias, shape.stride, shape.padding, shape.dilation, /*transposed=*/false,
                                std::vector<int64_t>(shape.stride.size(), 0), shape.groups);
  return relu ? output.relu_() : output;
}

}  // namespace gradcam
