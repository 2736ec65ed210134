#include "fixed_batch_norm.h"

#include <ATen/Parallel.h>

#include <cstring>
#include <limits>

namespace gradcam {

using torch::Tensor;

// The compiler makes one version per instruction set and picks at load time; the build itself stays portable.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define GRADCAM_MULTIVERSION __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define GRADCAM_MULTIVERSION
#endif

namespace {

// The channels of `rows` pixels of one input, whose pixels lie `from_stride` apart, into a wider output. NaN stays NaN.
GRADCAM_MULTIVERSION void transform(const float* from, float* to, const float* scale, const float* shift, int64_t rows,
                                    int64_t channels, int64_t to_stride, float floor) {
  for (int64_t row = 0; row < rows; ++row, from += channels, to += to_stride)
    for (int64_t c = 0; c < channels; ++c) {
      const float value = from[c] * scale[c] + shift[c];
      to[c] = value < floor ? floor : value;
    }
}

// bfloat16 is the upper half of a float32; rounded to nearest, ties to even.
GRADCAM_MULTIVERSION void transform(const uint16_t* from, uint16_t* to, const float* scale, const float* shift, int64_t rows,
                                    int64_t channels, int64_t to_stride, float floor) {
  for (int64_t row = 0; row < rows; ++row, from += channels, to += to_stride)
    for (int64_t c = 0; c < channels; ++c) {
      const uint32_t wide = static_cast<uint32_t>(from[c]) << 16;
      float value;
      std::memcpy(&value, &wide, sizeof value);
      value = value * scale[c] + shift[c];
      value = value < floor ? floor : value;
      uint32_t bits;
      std::memcpy(&bits, &value, sizeof bits);
      const uint32_t rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
      to[c] = static_cast<uint16_t>(value != value ? 0x7FC0 : rounded);
    }
}

template <typename T>
void transform_all(const std::vector<Tensor>& inputs, const Tensor& output, const float* scale, const float* shift,
                   bool relu) {
  const float floor = relu ? 0 : -std::numeric_limits<float>::infinity();
  const int64_t channels = output.size(1), pixels = output.numel() / channels;
  auto* to = static_cast<T*>(output.mutable_data_ptr());
  at::parallel_for(0, pixels, std::max<int64_t>(1, 32768 / channels), [&](int64_t begin, int64_t end) {
    int64_t offset = 0;
    for (const auto& input : inputs) {
      const int64_t own = input.size(1);
      transform(static_cast<const T*>(input.const_data_ptr()) + begin * own, to + begin * channels + offset, scale + offset,
                shift + offset, end - begin, own, channels, floor);
      offset += own;
    }
  });
}

}  // namespace

Tensor fixed_batch_norm(const std::vector<Tensor>& inputs, const Tensor& scale, const Tensor& shift, bool relu) {
  const auto dtype = inputs.at(0).scalar_type();
  bool direct = dtype == at::kFloat || dtype == at::kBFloat16;
  auto shape = inputs[0].sizes().vec();
  int64_t channels = 0;
  for (const auto& input : inputs) {
    direct = direct && input.dim() == 4 && input.scalar_type() == dtype && input.is_contiguous(at::MemoryFormat::ChannelsLast) &&
             input.size(0) == shape[0] && input.size(2) == shape[2] && input.size(3) == shape[3] && input.numel() > 0;
    if (direct) channels += input.size(1);
  }
  if (!direct || channels != scale.numel()) {
    const auto joined = inputs.size() == 1 ? inputs[0] : at::cat(inputs, 1);
    std::vector<int64_t> broadcast(static_cast<size_t>(joined.dim()), 1);
    broadcast[1] = -1;
    auto output = joined * scale.view(broadcast) + shift.view(broadcast);
    return (relu ? output.relu_() : output).to(dtype);
  }
  shape[1] = channels;
  const auto output = at::empty(shape, inputs[0].options(), at::MemoryFormat::ChannelsLast);
  const auto *scales = scale.const_data_ptr<float>(), *shifts = shift.const_data_ptr<float>();
  if (dtype == at::kFloat) transform_all<float>(inputs, output, scales, shifts, relu);
  else transform_all<uint16_t>(inputs, output, scales, shifts, relu);
  return output;
}

}  // namespace gradcam
