#pragma once
#include <torch/script.h>

#include <optional>
#include <vector>

namespace gradcam {

struct ConvolutionShape {
  std::vector<int64_t> stride, padding, dilation;
  int64_t groups;
};

// conv2d with a weight that never changes, and where wanted its ReLU, in one pass over memory by oneDNN, where LibTorch has
// it. LibTorch itself leaves some shapes to a slower kernel, by a rule older than channels-last (1x1 on one thread, small
// inputs), and reorders the weight at each call. No gradient. For one thread at a time.
class FixedConvolution {
 public:
  FixedConvolution(torch::Tensor weight, std::optional<torch::Tensor> bias, ConvolutionShape shape, bool relu);
  torch::Tensor run(const torch::Tensor& input);

 private:
  bool fits(const torch::Tensor& input) const;
  const torch::Tensor& packed_for(const torch::Tensor& input);
  std::optional<torch::Tensor> run_by_onednn(const torch::Tensor& input);

  torch::Tensor weight_;
  std::optional<torch::Tensor> bias_;
  ConvolutionShape shape_;
  bool relu_;
  torch::Tensor packed_;  // the weight again
  std::vector<int64_t> packed_sizes_;  // the input's that it was ordered for
};

}  // namespace gradcam
