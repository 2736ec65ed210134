#include "fixed_convolution.h"

#include <torch/csrc/autograd/custom_function.h>

#include "fixed_batch_norm.h"

namespace gradcam {

using torch::Tensor;

FixedConvolution::FixedConvolution(ConvolutionWeight weight, std::optional<Tensor> bias, ConvolutionShape shape,
                                   bool relu)
    : weight_(std::move(weight)),
      bias_(std::move(bias)),
      shape_(std::move(shape)),
      relu_(relu),
      winograd_(WinogradConvolution::make(weight_, bias_, shape_)) {}

bool FixedConvolution::fits(const Tensor& input) const {
  const auto dtype = input.scalar_type();
  return (dtype == at::kFloat || dtype == at::kBFloat16) && input.dim() == 4 && weight_.dim() == 4 &&
         input.device().is_cpu() && weight_.scalar_type() == dtype && input.numel() > 0 && shape_.stride.size() == 2 &&
         shape_.padding.size() == 2 && shape_.dilation.size() == 2 && input.size(1) == weight_.size(1) * shape_.groups;
}

// In oneDNN's order for channels-last inputs only, because with it the output becomes channels-last.
Tensor FixedConvolution::packed_for(const Tensor& input) {
  if (input.suggest_memory_format() != at::MemoryFormat::ChannelsLast) return weight_.keep();
  return packed_.of(weight_, shape_, input.sizes());
}

std::optional<Tensor> FixedConvolution::run_by_onednn(const Tensor& input, bool relu) {
  // mkldnn::_convolution_pointwise(X, W, B?, padding, stride, dilation, groups, attr, scalars, algorithm?)
  static const auto pointwise = find_onednn_operator("mkldnn::_convolution_pointwise", "", 10);
  if (!pointwise || !fits(input)) return {};
  try {
    const c10::List<c10::optional<at::Scalar>> scalars;
    c10::Stack stack{input,          packed_for(input),      bias_ ? at::IValue(*bias_) : at::IValue(),
                     shape_.padding, shape_.stride,          shape_.dilation,
                     shape_.groups,  relu ? "relu" : "none", scalars,
                     std::string()};
    pointwise->callBoxed(stack);
    return stack.back().toTensor();
  } catch (const c10::Error&) {
    return {};  // oneDNN has no kernel for this shape or type on this CPU
  }
}

// The same with a residual of the same size, which oneDNN adds before it writes.
std::optional<Tensor> FixedConvolution::run_by_onednn(const Tensor& input, const Tensor& residual) {
  // mkldnn::_convolution_pointwise.binary(X, other, W, B?, padding, stride, dilation, groups, binary_attr, alpha?,
  // unary_attr?, unary_scalars, unary_algorithm?)
  static const auto pointwise = find_onednn_operator("mkldnn::_convolution_pointwise", "binary", 13);
  if (!pointwise || !fits(input) || residual.scalar_type() != input.scalar_type()) return {};
  if (!input.is_contiguous(at::MemoryFormat::ChannelsLast) || !residual.is_contiguous(at::MemoryFormat::ChannelsLast))
    return {};
  const auto sizes = output_sizes(input.sizes(), weight_.sizes(), shape_);
  if (residual.sizes() != at::IntArrayRef(sizes)) return {};
  try {
    const c10::List<c10::optional<at::Scalar>> scalars;
    c10::Stack stack{input,
                     residual,
                     packed_for(input),
                     bias_ ? at::IValue(*bias_) : at::IValue(),
                     shape_.padding,
                     shape_.stride,
                     shape_.dilation,
                     shape_.groups,
                     "add",
                     at::IValue(),
                     relu_ ? at::IValue("relu") : at::IValue(),
                     scalars,
                     at::IValue()};
    pointwise->callBoxed(stack);
    return stack.back().toTensor();
  } catch (const c10::Error&) {
    return {};
  }
}

Tensor FixedConvolution::run_otherwise(const Tensor& input, bool relu) {
  if (auto output = run_by_onednn(input, relu)) return *output;
  auto output = at::convolution(input, weight_.keep(), bias_, shape_.stride, shape_.padding, shape_.dilation,
                                /*transposed=*/false, std::vector<int64_t>(shape_.stride.size(), 0), shape_.groups);
  return relu ? output.relu_() : output;
}

std::optional<Tensor> FixedConvolution::run_winograd(at::TensorList inputs, const ConvolutionSurroundings& around) {
  return winograd_ ? winograd_->run(inputs, around) : std::nullopt;
}

std::optional<Tensor> FixedConvolution::run_tiled(at::TensorList inputs, const ConvolutionSurroundings& around) {
  if (!tried_tiles_) tiled_ = TiledConvolution::make(weight_, bias_, shape_);
  tried_tiles_ = true;
  return tiled_ ? tiled_->run(inputs, around) : std::nullopt;
}

// Of a convolution alone, oneDNN's kernels are faster by a tenth, but calling one takes 20 to 30 microseconds.
bool FixedConvolution::is_small(const Tensor& input) const {
  constexpr double kMostMultiplications = 32e6;
  if (input.dim() != 4 || shape_.stride.size() != 2) return false;
  const auto pixels = static_cast<double>(input.size(0) * input.size(2) * input.size(3)) /
                      static_cast<double>(shape_.stride[0] * shape_.stride[1]);
  return pixels * static_cast<double>(weight_.numel()) <= kMostMultiplications;
}

Tensor FixedConvolution::run(const Tensor& input) {
  if (auto output = run_winograd(input, {nullptr, nullptr, relu_})) return *output;
  if (is_small(input))
    if (auto output = run_tiled(input, {nullptr, nullptr, relu_})) return *output;
  return run_otherwise(input, relu_);
}

Tensor FixedConvolution::run_fused(const std::vector<Tensor>& inputs, const ChannelAffine* before,
                                   const Tensor* residual) {
  if (auto output = run_winograd(inputs, {before, residual, relu_})) return *output;
  if (inputs.size() == 1 && residual && !before && !is_small(inputs[0]))
    if (auto output = run_by_onednn(inputs[0], *residual)) return *output;
  if (auto output = run_tiled(inputs, {before, residual, relu_})) return *output;
  const auto input = before               ? fixed_batch_norm(inputs, before->scale, before->shift, before->relu)
                     : inputs.size() == 1 ? inputs[0]
                                          : at::cat(inputs, 1);
  auto output = run_otherwise(input, relu_ && !residual);
  if (!residual) return output;
  output = output + *residual;
  return relu_ ? output.relu_() : output;
}

bool FixedConvolution::has_adjoint() const {
  for (size_t i = 0; i < shape_.stride.size(); ++i)
    if (shape_.stride[i] != 1 || shape_.dilation.at(i) * (weight_.size(i + 2) - 1) < shape_.padding.at(i)) return false;
  return weight_.dim() == 4 && shape_.stride.size() == 2;
}

Tensor FixedConvolution::input_gradient(const Tensor& gradient, const Tensor& input) {
  if (!has_adjoint()) {
    const auto none = std::vector<int64_t>(shape_.stride.size(), 0);
    return std::get<0>(at::convolution_backward(gradient, input, weight_.keep(), at::OptionalIntArrayRef(),
                                                shape_.stride, shape_.padding, shape_.dilation, /*transposed=*/false,
                                                none, shape_.groups, {true, false, false}));
  }
  if (!adjoint_) {
    auto shape = shape_;
    for (size_t i = 0; i < 2; ++i)
      shape.padding[i] = shape_.dilation[i] * (weight_.size(i + 2) - 1) - shape_.padding[i];
    adjoint_ = c10::make_intrusive<FixedConvolution>(weight_.adjoint(shape_.groups), std::nullopt, std::move(shape),
                                                     /*relu=*/false);
  }
  return fixed_convolution(adjoint_, gradient);
}

namespace {

struct ConvolutionFunction : torch::autograd::Function<ConvolutionFunction> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& input, const at::IValue& holder) {
    const auto convolution = c10::static_intrusive_pointer_cast<FixedConvolution>(holder.toCapsule());
    const auto output = convolution->run(input);
    context->saved_data["convolution"] = holder;
    context->save_for_backward(
        {convolution->has_adjoint() ? Tensor() : input, convolution->has_relu() ? output : Tensor()});
    return output;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto convolution =
        c10::static_intrusive_pointer_cast<FixedConvolution>(context->saved_data["convolution"].toCapsule());
    auto gradient = gradients[0];
    if (saved[1].defined()) gradient = at::threshold_backward(gradient, saved[1], 0);
    return {convolution->input_gradient(gradient, saved[0]), Tensor()};
  }
};

}  // namespace

Tensor fixed_convolution(const c10::intrusive_ptr<FixedConvolution>& convolution, const Tensor& input) {
  if (!at::GradMode::is_enabled() || !input.requires_grad()) return convolution->run(input);
  return ConvolutionFunction::apply(input, at::IValue::make_capsule(convolution));
}

}  // namespace gradcam
