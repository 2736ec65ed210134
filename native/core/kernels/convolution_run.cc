#include "convolution_run.h"

#include <limits>

namespace gradcam {

using torch::Tensor;

namespace {

bool is_dense(const Tensor& tensor) {
  return tensor.defined() && tensor.is_cpu() && tensor.scalar_type() == at::kFloat && tensor.layout() == at::kStrided &&
         tensor.dim() == 4 && tensor.numel() > 0 && tensor.is_contiguous(at::MemoryFormat::ChannelsLast) &&
         !tensor.is_neg() && !tensor._is_zerotensor();
}

// What a kernel takes instead of all that is below it.
float floor_of(bool relu) { return relu ? 0 : -std::numeric_limits<float>::infinity(); }

}  // namespace

std::optional<ConvolutionRun> ConvolutionRun::make(at::TensorList inputs, at::IntArrayRef weight, const Tensor& bias,
                                                   const ConvolutionShape& shape,
                                                   const ConvolutionSurroundings& around) {
  if (inputs.empty()) return {};
  std::vector<ChannelSource> sources;
  int64_t channels = 0;
  for (const auto& input : inputs) {
    if (!is_dense(input) || input.size(0) != inputs[0].size(0) || input.size(2) != inputs[0].size(2) ||
        input.size(3) != inputs[0].size(3))
      return {};
    sources.push_back({input.const_data_ptr<float>(), channels, input.size(1)});
    channels += input.size(1);
  }
  if (channels != weight[1]) return {};
  const auto sizes = output_sizes(inputs[0].sizes(), weight, shape);
  if (sizes[2] < 1 || sizes[3] < 1) return {};
  if (around.residual && (!is_dense(*around.residual) || around.residual->sizes() != sizes)) return {};
  const auto* before = around.before;
  if (before && before->scale.numel() != channels) return {};
  return ConvolutionRun{*tile_product(),
                        std::move(sources),
                        before ? before->scale.const_data_ptr<float>() : nullptr,
                        before ? before->shift.const_data_ptr<float>() : nullptr,
                        floor_of(before && before->relu),
                        bias.defined() ? bias.const_data_ptr<float>() : nullptr,
                        around.residual ? around.residual->const_data_ptr<float>() : nullptr,
                        floor_of(around.relu),
                        sizes[0],
                        channels,
                        inputs[0].size(2),
                        inputs[0].size(3),
                        sizes[1],
                        sizes[2],
                        sizes[3]};
}

Tensor ConvolutionRun::allocate_output(const torch::TensorOptions& options) {
  auto output = at::empty({batch, outputs, out_height, out_width}, options, at::MemoryFormat::ChannelsLast);
  to = output.mutable_data_ptr<float>();
  return output;
}

}  // namespace gradcam
