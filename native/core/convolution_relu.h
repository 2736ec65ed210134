#pragma once
#include <torch/script.h>

#include <optional>
#include <vector>

namespace gradcam {

struct ConvolutionShape {
  std::vector<int64_t> stride, padding, dilation;
  int64_t groups;
};

// conv2d and where wanted its ReLU, in one pass over memory by oneDNN, where LibTorch has it. LibTorch itself leaves some
// shapes to a slower kernel, by a rule older than channels-last: 1x1 on one thread, small inputs. No gradient.
torch::Tensor convolution_relu(const torch::Tensor& input, const torch::Tensor& weight,
                               const std::optional<torch::Tensor>& bias, const ConvolutionShape& shape, bool relu);

}  // namespace gradcam
