#pragma once
#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace gradcam {

// The weight of a convolution, [outputs, inputs, ...]. Kernels keep it in an order of their own, and what it is made of
// belongs to the model: so it is made when a kernel packs it, because to keep it would take the memory of all weights
// once more. To be used by one thread at a time.
class ConvolutionWeight {
 public:
  // The model's own, which takes no memory.
  ConvolutionWeight(torch::Tensor own);  // NOLINT(google-explicit-constructor)
  // Times a factor for each output, as of a batch norm after the convolution; [outputs].
  static ConvolutionWeight scaled(const torch::Tensor& own, const torch::Tensor& factors);
  // Of the convolution that is the gradient at this one's input where the stride is 1: each output's kernel, mirrored,
  // becomes one of each input. For weights of four dimensions.
  ConvolutionWeight adjoint(int64_t groups) const;

  at::IntArrayRef sizes() const { return sizes_; }
  int64_t size(size_t dimension) const { return sizes_.at(dimension); }
  int64_t dim() const { return static_cast<int64_t>(sizes_.size()); }
  int64_t numel() const;
  at::ScalarType scalar_type() const { return dtype_; }
  bool is_cpu() const { return is_cpu_; }

  torch::Tensor make() const { return kept_.defined() ? kept_ : make_(); }
  // The same, kept from now on: for operators that take it at each call.
  const torch::Tensor& keep() const;

 private:
  ConvolutionWeight(const ConvolutionWeight& like, std::vector<int64_t> sizes, std::function<torch::Tensor()> make);

  std::vector<int64_t> sizes_;
  at::ScalarType dtype_;
  bool is_cpu_;
  std::function<torch::Tensor()> make_;
  mutable torch::Tensor kept_;
};

}  // namespace gradcam
