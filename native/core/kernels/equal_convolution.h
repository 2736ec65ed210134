#pragma once
#include <torch/custom_class.h>
#include <torch/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "fixed_convolution.h"
#include "tiled_convolution.h"

namespace gradcam {

// conv2d with a weight that never changes, on channels-last memory, with the same bits that LibTorch computes on
// contiguous memory. That layout spares copying every input and output into oneDNN's own, but with it oneDNN sums up in
// another order, and what differs by rounding opens or closes ReLUs.
//
// The first two runs for each size of the input are LibTorch's. A part of the second is computed again in every order
// that oneDNN and BLAS are known to take, and all of it in the order that gave the same bits. Later runs of that size
// take that order, by kernels of our own, or LibTorch's where there is none. Where each image has a size of its own, no
// order is looked for: that takes longer than it saves. To be used by one thread at a time.
class EqualConvolution : public torch::CustomClassHolder {
 public:
  EqualConvolution(torch::Tensor weight, std::optional<torch::Tensor> bias, ConvolutionShape shape);

  // [N, C, H, W], in any layout, to [N, K, H', W'] with channels last. Records a graph where the input requires a
  // gradient. Throws what LibTorch's conv2d does.
  static torch::Tensor apply(const c10::intrusive_ptr<EqualConvolution>& convolution, const torch::Tensor& input);

  // Without a graph.
  torch::Tensor run(const torch::Tensor& input) {
    return run({input}, nullptr, [&] { return input; });
  }
  // The same of the concatenation of `inputs` over channels, after `before`, which may be null. `libtorch` computes the
  // convolution's input by LibTorch's operators, to the same bits.
  torch::Tensor run(const std::vector<torch::Tensor>& inputs, const ChannelAffine* before,
                    const std::function<torch::Tensor()>& libtorch);

  // The gradient at the input, which has any rounding.
  torch::Tensor input_gradient(const torch::Tensor& gradient, const torch::Tensor& input);
  torch::Tensor input_gradient(const torch::Tensor& gradient) { return input_gradient(gradient, {}); }  // of an adjoint
  bool has_adjoint() const { return fixed_->has_adjoint(); }
  // Whether an input of this size was seen that told in which order LibTorch sums up, and our kernels have that order.
  bool has_own_kernels(int64_t images, int64_t height, int64_t width) const;
  int64_t channels() const { return weight_.size(1); }  // of the input

 private:
  // What LibTorch's convolution depends on besides the weight.
  struct Occasion {
    int64_t images, height, width, threads;
    bool operator==(const Occasion& other) const {
      return images == other.images && height == other.height && width == other.width && threads == other.threads;
    }
  };
  struct Known {
    Occasion occasion;
    const TiledConvolution* kernels;  // null: LibTorch's own
  };

  torch::Tensor run_libtorch(const torch::Tensor& input) const;
  bool comes_again(const Occasion& occasion);
  void find_kernels(const Occasion& occasion, const torch::Tensor& input, const torch::Tensor& output);
  std::optional<SummationOrder> find_order(const torch::Tensor& input, const torch::Tensor& output, bool& told) const;
  const TiledConvolution* kernels_of(const SummationOrder& order);

  torch::Tensor weight_;
  std::optional<torch::Tensor> bias_;
  ConvolutionShape shape_;
  c10::intrusive_ptr<FixedConvolution> fixed_;
  std::vector<Occasion> came_once_;
  std::vector<Known> known_;
  std::vector<std::pair<SummationOrder, std::unique_ptr<TiledConvolution>>> kernels_;
};

}  // namespace gradcam
