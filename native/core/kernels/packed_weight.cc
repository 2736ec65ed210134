#include "packed_weight.h"

#include <algorithm>

#include "core/base/bounded.h"

namespace gradcam {

using torch::Tensor;

namespace {

constexpr size_t kMostSizes = 64;

// How oneDNN describes the order of a weight, as bytes. Undefined where LibTorch is too old to tell.
Tensor describe(const Tensor& packed) {
  static const auto describing = find_onednn_operator("mkldnn::_get_mkldnn_serialized_md", "", 1);
  if (!describing || !packed.is_mkldnn()) return {};
  c10::Stack stack{packed};
  describing->callBoxed(stack);
  return stack.back().toTensor();
}

}  // namespace

std::optional<c10::OperatorHandle> find_onednn_operator(const char* name, const char* overload, size_t arguments) {
  if (!at::hasMKLDNN()) return {};
  auto found = c10::Dispatcher::singleton().findSchema({name, overload});
  if (found && found->schema().arguments().size() != arguments) found.reset();
  return found;
}

Tensor PackedWeight::of(const ConvolutionWeight& weight, const ConvolutionShape& shape, at::IntArrayRef input) {
  // mkldnn::_reorder_convolution_weight(self, padding, stride, dilation, groups, input_size?)
  static const auto reorder = find_onednn_operator("mkldnn::_reorder_convolution_weight", "", 6);
  if (!reorder) return weight.keep();
  const auto is_input = [&](const std::vector<int64_t>& sizes) { return input == at::IntArrayRef(sizes); };
  const bool is_served = std::any_of(served_.begin(), served_.end(), is_input);
  if (is_served || (packed_.defined() && !is_input(last_))) {
    last_ = is_served ? std::vector<int64_t>() : input.vec();
    return packed_;
  }
  c10::Stack stack{weight.make(), shape.padding, shape.stride, shape.dilation, shape.groups, input.vec()};
  reorder->callBoxed(stack);
  const auto packed = stack.back().toTensor();
  const auto descriptor = describe(packed);
  const bool is_same = packed_.defined() && (!descriptor.defined() || at::equal(descriptor, descriptor_));
  if (!is_same) {
    packed_ = packed;
    descriptor_ = descriptor;
    served_.clear();
  }
  append_bounded(served_, input.vec(), kMostSizes);
  last_.clear();
  return packed_;
}

}  // namespace gradcam
