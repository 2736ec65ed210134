#include "relu_mask.h"

#include <cstdint>

#include "clones.h"
#include "planes.h"

namespace gradcam {

using torch::Tensor;

namespace {

GRADCAM_CLONES("avx512f", "avx2")
void mask_and_cut(const float* from, float* to, uint8_t* open, int64_t count) {
  GRADCAM_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) {
    const float value = from[i];
    const bool closed = value <= 0;
    to[i] = closed ? 0 : value;
    open[i] = !closed;
  }
}

void mask_and_cut(const Tensor& from, const Tensor& to, const Tensor& open) {
  const auto* values = from.const_data_ptr<float>();
  auto* cut = to.mutable_data_ptr<float>();
  auto* passes = open.mutable_data_ptr<uint8_t>();
  Planes::whole(from).for_each(
      [&](int64_t at, int64_t count, int64_t) { mask_and_cut(values + at, cut + at, passes + at, count); },
      [](int64_t, int64_t) {});
}

Tensor mask_like(const Tensor& input) { return at::empty_like(input, input.options().dtype(at::kByte)); }

}  // namespace

MaskedRelu relu_with_mask(const Tensor& input) {
  MaskedRelu masked{at::empty_like(input), mask_like(input)};
  mask_and_cut(input, masked.result, masked.open);
  return masked;
}

Tensor relu_with_mask_(const Tensor& input) {
  auto open = mask_like(input);
  mask_and_cut(input, input, open);
  return open;
}

}  // namespace gradcam
