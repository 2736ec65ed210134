#pragma once
#include <torch/types.h>

#include <optional>
#include <vector>

namespace gradcam {

struct ConvolutionShape {
  std::vector<int64_t> stride, padding, dilation;
  int64_t groups;
};

// Of a convolution of an input [N, C, H, W] with a weight of these sizes; 0 where the kernel does not fit.
std::vector<int64_t> output_sizes(at::IntArrayRef input, at::IntArrayRef weight, const ConvolutionShape& shape);

// A batch norm with fixed statistics, per channel: x * scale + shift, with an optional ReLU; float32 [C].
struct ChannelAffine {
  torch::Tensor scale, shift;
  bool relu;
};

// What happens around a convolution in the same pass over memory.
struct ConvolutionSurroundings {
  const ChannelAffine* before = nullptr;    // of its input
  const torch::Tensor* residual = nullptr;  // added to its output
  bool relu = false;                        // after that
};

// A two-dimensional convolution in float32 by kernels of our own, which know of what comes before and after it, and are
// called without LibTorch's dispatch: of a small convolution that is a third of the time. The weight is packed once,
// for inputs of all sizes.
class TiledConvolution {
 public:
  // None where the processor or the shape of the weight has no such kernel.
  static std::optional<TiledConvolution> make(const torch::Tensor& weight, const std::optional<torch::Tensor>& bias,
                                              const ConvolutionShape& shape);

  // Of the concatenation of `inputs` over channels, without a graph. None for inputs that are not dense channels-last
  // float32, or where LibTorch would report an error.
  std::optional<torch::Tensor> run(at::TensorList inputs, const ConvolutionSurroundings& around) const;

 private:
  TiledConvolution() = default;

  torch::Tensor packed_, bias_;
  ConvolutionShape shape_;
  int64_t inputs_ = 0, outputs_ = 0, height_ = 0, width_ = 0;  // of the weight
};

}  // namespace gradcam
