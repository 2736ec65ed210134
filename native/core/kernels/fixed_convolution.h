#pragma once
#include <torch/custom_class.h>
#include <torch/script.h>

#include <optional>
#include <vector>

#include "packed_weight.h"
#include "tiled_convolution.h"
#include "winograd_convolution.h"

namespace gradcam {

// conv2d with a weight that never changes, and optionally a ReLU, in one pass over memory: by a kernel of our own, or
// by oneDNN, where LibTorch has it. LibTorch itself gives some shapes to a slower kernel, by a rule older than
// channels-last (1x1 on one thread, small inputs), and reorders the weight at each call. To be used by one thread at a
// time.
class FixedConvolution : public torch::CustomClassHolder {
 public:
  FixedConvolution(ConvolutionWeight weight, std::optional<torch::Tensor> bias, ConvolutionShape shape, bool relu);

  // Without a graph.
  torch::Tensor run(const torch::Tensor& input);

  // The same of the concatenation of `inputs` over channels, which may be normalised before, and with a residual that
  // is added before the ReLU. Without a graph.
  torch::Tensor run_fused(const std::vector<torch::Tensor>& inputs, const ChannelAffine* before,
                          const torch::Tensor* residual);

  // The gradient at the input, from the one at the convolution's output before its ReLU. Where the stride is 1 it is
  // another convolution; `input` is read only where it is not. Records a graph where the grad mode is enabled.
  torch::Tensor input_gradient(const torch::Tensor& gradient, const torch::Tensor& input);

  bool has_relu() const { return relu_; }
  bool has_adjoint() const;  // whether input_gradient does not read the input

 private:
  bool fits(const torch::Tensor& input) const;
  bool is_small(const torch::Tensor& input) const;
  torch::Tensor packed_for(const torch::Tensor& input);
  std::optional<torch::Tensor> run_by_onednn(const torch::Tensor& input, bool relu);
  std::optional<torch::Tensor> run_by_onednn(const torch::Tensor& input, const torch::Tensor& residual);
  std::optional<torch::Tensor> run_winograd(at::TensorList inputs, const ConvolutionSurroundings& around);
  std::optional<torch::Tensor> run_tiled(at::TensorList inputs, const ConvolutionSurroundings& around);
  torch::Tensor run_otherwise(const torch::Tensor& input, bool relu);

  ConvolutionWeight weight_;
  std::optional<torch::Tensor> bias_;
  ConvolutionShape shape_;
  bool relu_;
  std::optional<WinogradConvolution> winograd_;
  bool tried_tiles_ = false;
  std::optional<TiledConvolution> tiled_;  // made when it first runs
  PackedWeight packed_;
  c10::intrusive_ptr<FixedConvolution> adjoint_;  // made when it is first needed
};

// The same, recording a graph where the input requires a gradient.
torch::Tensor fixed_convolution(const c10::intrusive_ptr<FixedConvolution>& convolution, const torch::Tensor& input);

}  // namespace gradcam
