#pragma once
#include <torch/types.h>

#include <optional>
#include <utility>
#include <vector>

#include "tiled_convolution.h"

namespace gradcam {

// A 3x3 convolution in float32 with a stride of 1, which computes 2x2 outputs of 4x4 inputs by 16 multiplications per
// pair of channels where 36 are usual: F(2x2, 3x3) of Lavin and Gray, "Fast Algorithms for Convolutional Neural
// Networks", 2016. The 16 are matrix products between two linear transforms, which add and subtract only, so that the
// result is about as near to the exact one as that of other kernels.
class WinogradConvolution {
 public:
  // None where the processor has no such kernel, or for another convolution.
  static std::optional<WinogradConvolution> make(const ConvolutionWeight& weight,
                                                 const std::optional<torch::Tensor>& bias,
                                                 const ConvolutionShape& shape);

  // As TiledConvolution::run. Also none where another kernel is faster. To be used by one thread at a time.
  std::optional<torch::Tensor> run(at::TensorList inputs, const ConvolutionSurroundings& around);

 private:
  WinogradConvolution(ConvolutionWeight weight, ConvolutionShape shape)
      : weight_(std::move(weight)), shape_(std::move(shape)) {}

  ConvolutionWeight weight_;
  torch::Tensor bias_, packed_;  // packed when it first runs
  ConvolutionShape shape_;
};

}  // namespace gradcam
