#pragma once
#include <torch/types.h>

#include <optional>
#include <vector>

#include "convolution_weight.h"

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

// In which order a convolution sums up its products, on which its rounding depends.
struct SummationOrder {
  int64_t channels =
      0;               // 0: tap after tap, all channels of each. Otherwise so many channels at a time, all taps of them
  bool apart = false;  // each of these is summed up from zero and then added to those before
  enum class Bias { last, first, start } bias = Bias::last;  // after all sums, after the first one, or before it

  bool operator==(const SummationOrder& other) const {
    return channels == other.channels && apart == other.apart && bias == other.bias;
  }
};

// A two-dimensional convolution in float32 by kernels of our own, which know of what comes before and after it, and are
// called without LibTorch's dispatch: of a small convolution that is a third of the time. The weight is packed once,
// for inputs of all sizes.
class TiledConvolution {
 public:
  // Whether the processor has a kernel for this shape of the weight.
  static bool fits(const ConvolutionWeight& weight, const std::optional<torch::Tensor>& bias,
                   const ConvolutionShape& shape);

  // None where the processor or the shape of the weight has no such kernel.
  static std::optional<TiledConvolution> make(const ConvolutionWeight& weight, const std::optional<torch::Tensor>& bias,
                                              const ConvolutionShape& shape, SummationOrder order = {});

  // Of the concatenation of `inputs` over channels, without a graph. None for inputs that are not dense channels-last
  // float32, or where LibTorch would report an error.
  std::optional<torch::Tensor> run(at::TensorList inputs, const ConvolutionSurroundings& around) const;

 private:
  TiledConvolution() = default;

  torch::Tensor packed_, bias_;
  ConvolutionShape shape_;
  SummationOrder order_;
  int64_t inputs_ = 0, outputs_ = 0, height_ = 0, width_ = 0;  // of the weight
};

}  // namespace gradcam
