#pragma once
#include <torch/custom_class.h>
#include <torch/types.h>

#include <optional>
#include <utility>
#include <vector>

#include "autograd_node.h"
#include "batch_norm_node.h"
#include "core/kernels/equal_convolution.h"
#include "relu_rule.h"

namespace gradcam {

// What comes before a convolution: a batch norm with fixed statistics, where there is one, and a ReLU.
struct Gate {
  BatchNormConstants norm;  // float32 [C], or all undefined
  bool of_module = false;   // the ReLU is a module, not a function
};

// relu(batch_norm(cat(inputs, 1))) and a convolution of that, to the last bit as LibTorch computes them on contiguous
// memory, in one pass over the inputs. Nothing in between is kept: the gradient computes again which gates are open.
class GatedConvolution : public torch::CustomClassHolder {
 public:
  GatedConvolution(Gate gate, c10::intrusive_ptr<EqualConvolution> convolution)
      : gate_(std::move(gate)), convolution_(std::move(convolution)) {}

  // None where the kernels normalise otherwise than LibTorch does on this processor, or where the gradient would need
  // what the convolution reads.
  static c10::intrusive_ptr<GatedConvolution> make(const Gate& gate, c10::intrusive_ptr<EqualConvolution> convolution);

  // [N, Ci, H, W] each to [N, K, H', W'] with channels last. Records a graph where one of them requires a gradient.
  static torch::Tensor apply(const c10::intrusive_ptr<GatedConvolution>& convolution,
                             const std::vector<torch::Tensor>& inputs);

  // The gradients at the inputs; undefined for those that are not `needed`. Records no graph.
  std::vector<torch::Tensor> input_gradients(const torch::Tensor& gradient, const std::vector<torch::Tensor>& inputs,
                                             const std::vector<bool>& needed, std::optional<ReluRule> rule) const;
  bool of_module() const { return gate_.of_module; }

 private:
  // Whether the kernels normalise as LibTorch does; prepares what they need for that.
  bool prepare();
  torch::Tensor normalized(const std::vector<torch::Tensor>& inputs) const;

  Gate gate_;
  ChannelAffine affine_;
  torch::Tensor inverse_deviation_, weight_;  // the factors of the batch norm's gradient
  c10::intrusive_ptr<EqualConvolution> convolution_;
};

// False for a node that was recorded by a GatedConvolution, whose inputs an operator in place has changed since.
// LibTorch's own nodes do not mind that where they keep a concatenation of them.
bool is_intact(const torch::autograd::Node& node);

}  // namespace gradcam
