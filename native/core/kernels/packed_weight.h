#pragma once
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "tiled_convolution.h"

namespace gradcam {

// An operator of oneDNN. Their C++ declarations have changed between versions of LibTorch, their schemas have not: they
// are called by schema. None where LibTorch has no oneDNN, or the operator takes another number of arguments.
std::optional<c10::OperatorHandle> find_onednn_operator(const char* name, const char* overload, size_t arguments);

// The weight of a convolution in oneDNN's order; otherwise oneDNN would reorder it at each call.
//
// The best order depends on the size of the input, but few sizes differ in it, and oneDNN reorders a weight by itself
// where it has to. So one order serves all sizes until one comes twice in a row that has a better order: the weight is
// not reordered at each call when the size of the batch changes. To be used by one thread at a time.
class PackedWeight {
 public:
  // For channels-last inputs of this size. The weight itself where LibTorch cannot reorder it.
  torch::Tensor of(const ConvolutionWeight& weight, const ConvolutionShape& shape, at::IntArrayRef input);

 private:
  torch::Tensor packed_, descriptor_;
  std::vector<std::vector<int64_t>> served_;  // sizes of inputs for which this order is the best
  std::vector<int64_t> last_;                 // the size before, where it is not known whether it is
};

}  // namespace gradcam
