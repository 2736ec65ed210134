#pragma once
#include <torch/script.h>

#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "core/kernels/tiled_convolution.h"

namespace gradcam::test {

// A convolution and what is around it.
struct ConvolutionCase {
  std::vector<int64_t> channels;  // of each input
  int64_t outputs, batch, height, width;
  std::vector<int64_t> kernel;
  ConvolutionShape shape;
  bool bias, before, residual, relu;
};

inline std::string text_of(const ConvolutionCase& c) {
  std::ostringstream text;
  text << "channels " << c.channels << ", outputs " << c.outputs << ", " << c.batch << "x" << c.height << "x" << c.width
       << ", kernel " << c.kernel << ", stride " << c.shape.stride << ", padding " << c.shape.padding << ", dilation "
       << c.shape.dilation << ", bias " << c.bias << ", before " << c.before << ", residual " << c.residual << ", relu "
       << c.relu;
  return text.str();
}

inline torch::Tensor rows(torch::Tensor tensor) { return tensor.contiguous(at::MemoryFormat::ChannelsLast); }

struct MadeConvolution {
  std::vector<torch::Tensor> inputs;
  torch::Tensor weight, expected, magnitude, residual;
  std::optional<torch::Tensor> bias;
  ChannelAffine before;
};

// What `expected` is made of, in float64; `magnitude` is the sum of absolute values, by which rounding errors grow.
inline MadeConvolution make_convolution(const ConvolutionCase& c) {
  MadeConvolution made;
  int64_t channels = 0;
  for (const auto own : c.channels) {
    made.inputs.push_back(rows(torch::randn({c.batch, own, c.height, c.width})));
    channels += own;
  }
  made.weight = torch::randn({c.outputs, channels, c.kernel[0], c.kernel[1]});
  if (c.bias) made.bias = torch::randn({c.outputs});
  made.before = {torch::randn({channels}), torch::randn({channels}), /*relu=*/c.relu};
  auto x = torch::cat(made.inputs, 1).to(at::kDouble);
  auto sizes = x;
  if (c.before) {
    const auto scale = made.before.scale.to(at::kDouble).view({1, -1, 1, 1});
    const auto shift = made.before.shift.to(at::kDouble).view({1, -1, 1, 1});
    sizes = (x * scale).abs() + shift.abs();
    x = x * scale + shift;
    if (made.before.relu) x = x.relu();
  }
  const auto convolve = [&](const torch::Tensor& input, const torch::Tensor& weight,
                            const std::optional<torch::Tensor>& bias) {
    return at::conv2d(input, weight, bias, c.shape.stride, c.shape.padding, c.shape.dilation);
  };
  const auto weight = made.weight.to(at::kDouble);
  made.expected = convolve(x, weight, c.bias ? std::optional(made.bias->to(at::kDouble)) : std::nullopt);
  made.magnitude = convolve(sizes.abs(), weight.abs(), {}) + 1;
  if (c.residual) {
    made.residual = rows(torch::randn(made.expected.sizes()));
    made.expected = made.expected + made.residual.to(at::kDouble);
  }
  if (c.relu) made.expected = made.expected.relu();
  return made;
}

}  // namespace gradcam::test
