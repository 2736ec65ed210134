#include "fixed_batch_norm.h"

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "clones.h"
#include "core/base/parallel.h"

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>
#define GRADCAM_BFLOAT16_INSTRUCTIONS __attribute__((target("avx512f,avx512vl,avx512bw,avx512bf16")))
#endif

namespace gradcam {

using torch::Tensor;
namespace ag = torch::autograd;

namespace {

// Transforms `rows` pixels of one input into their channels of a wider output, whose pixels lie `to_stride` apart. NaN
// stays NaN.
GRADCAM_CLONES("avx512f", "avx2")
void transform(const float* from, float* to, const float* scale, const float* shift, int64_t rows, int64_t channels,
               int64_t to_stride, float floor) {
  for (int64_t row = 0; row < rows; ++row, from += channels, to += to_stride)
    for (int64_t c = 0; c < channels; ++c) {
      const float value = from[c] * scale[c] + shift[c];
      to[c] = value < floor ? floor : value;
    }
}

// bfloat16 is the upper half of a float32; rounded to nearest, ties to even.
GRADCAM_CLONES("avx512f", "avx2")
void transform(const uint16_t* from, uint16_t* to, const float* scale, const float* shift, int64_t rows,
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

#ifdef GRADCAM_BFLOAT16_INSTRUCTIONS
// GCC 12's own intrinsics leave an operand uninitialised on purpose, and it warns of that where they are inlined.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
// Sixteen bfloat16 as float32.
GRADCAM_BFLOAT16_INSTRUCTIONS inline __m512 widen(const uint16_t* from) {
  const auto narrow = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow), 16));
}

// The same where the CPU rounds to bfloat16 itself, which is several times as fast.
GRADCAM_BFLOAT16_INSTRUCTIONS void transform_by_instructions(const uint16_t* from, uint16_t* to, const float* scale,
                                                             const float* shift, int64_t rows, int64_t channels,
                                                             int64_t to_stride, float floor) {
  const auto least = _mm512_set1_ps(floor);
  const int64_t whole = channels / 32 * 32;
  for (int64_t row = 0; row < rows; ++row, from += channels, to += to_stride) {
    for (int64_t c = 0; c < whole; c += 32) {
      // max_ps returns its second operand where one is NaN.
      const auto low = _mm512_max_ps(
          least, _mm512_fmadd_ps(widen(from + c), _mm512_loadu_ps(scale + c), _mm512_loadu_ps(shift + c)));
      const auto high = _mm512_max_ps(least, _mm512_fmadd_ps(widen(from + c + 16), _mm512_loadu_ps(scale + c + 16),
                                                             _mm512_loadu_ps(shift + c + 16)));
      const auto rounded = _mm512_cvtne2ps_pbh(high, low);
      std::memcpy(to + c, &rounded, sizeof rounded);
    }
    if (whole < channels)
      transform(from + whole, to + whole, scale + whole, shift + whole, 1, channels - whole, to_stride, floor);
  }
}
#pragma GCC diagnostic pop
#endif

using TransformBfloat16 = void (*)(const uint16_t*, uint16_t*, const float*, const float*, int64_t, int64_t, int64_t,
                                   float);

TransformBfloat16 pick_bfloat16() {
#ifdef GRADCAM_BFLOAT16_INSTRUCTIONS
  if (__builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
    return transform_by_instructions;
#endif
  return transform;
}

template <typename T, typename Transform>
void transform_all(const std::vector<Tensor>& inputs, const Tensor& output, const float* scale, const float* shift,
                   bool relu, Transform transform_rows) {
  const float floor = relu ? 0 : -std::numeric_limits<float>::infinity();
  const int64_t channels = output.size(1), pixels = output.numel() / channels;
  auto* to = static_cast<T*>(output.mutable_data_ptr());
  parallel_for(0, pixels, std::max<int64_t>(1, 32768 / channels), [&](int64_t begin, int64_t end) {
    int64_t offset = 0;
    for (const auto& input : inputs) {
      const int64_t own = input.size(1);
      transform_rows(static_cast<const T*>(input.const_data_ptr()) + begin * own, to + begin * channels + offset,
                     scale + offset, shift + offset, end - begin, own, channels, floor);
      offset += own;
    }
  });
}

Tensor join(const std::vector<Tensor>& inputs, const Tensor& scale, const Tensor& shift, bool relu) {
  const auto dtype = inputs.at(0).scalar_type();
  bool direct = dtype == at::kFloat || dtype == at::kBFloat16;
  auto shape = inputs[0].sizes().vec();
  int64_t channels = 0;
  for (const auto& input : inputs) {
    direct = direct && input.dim() == 4 && input.scalar_type() == dtype &&
             input.is_contiguous(at::MemoryFormat::ChannelsLast) && input.size(0) == shape[0] &&
             input.size(2) == shape[2] && input.size(3) == shape[3] && input.numel() > 0;
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
  static const auto transform_bfloat16 = pick_bfloat16();
  using TransformFloat = void (*)(const float*, float*, const float*, const float*, int64_t, int64_t, int64_t, float);
  if (dtype == at::kFloat)
    transform_all<float>(inputs, output, scales, shifts, relu, TransformFloat(transform));
  else
    transform_all<uint16_t>(inputs, output, scales, shifts, relu, transform_bfloat16);
  return output;
}

// The gradient of each input. A ReLU passes it where its output is not zero or less, as LibTorch's does.
GRADCAM_CLONES("avx512f", "avx2")
void transform_back(const float* from, const float* output, float* to, const float* scale, int64_t rows,
                    int64_t channels, int64_t from_stride) {
  for (int64_t row = 0; row < rows; ++row, from += from_stride, output += from_stride, to += channels)
    for (int64_t c = 0; c < channels; ++c) to[c] = output[c] <= 0 ? 0 : from[c] * scale[c];
}

GRADCAM_CLONES("avx512f", "avx2")
void transform_back(const float* from, float* to, const float* scale, int64_t rows, int64_t channels,
                    int64_t from_stride) {
  for (int64_t row = 0; row < rows; ++row, from += from_stride, to += channels)
    for (int64_t c = 0; c < channels; ++c) to[c] = from[c] * scale[c];
}

struct BatchNormFunction : ag::Function<BatchNormFunction> {
  static Tensor forward(ag::AutogradContext* context, at::TensorList inputs, const Tensor& scale, const Tensor& shift,
                        bool relu) {
    const auto output = join(inputs.vec(), scale, shift, relu);
    std::vector<int64_t> widths;
    for (const auto& input : inputs) widths.push_back(input.size(1));
    context->saved_data["widths"] = std::move(widths);
    context->saved_data["scale"] = scale;
    context->save_for_backward({relu ? output : Tensor()});
    return output;
  }

  static ag::variable_list backward(ag::AutogradContext* context, const ag::variable_list& gradients) {
    const auto widths = context->saved_data["widths"].toIntVector();
    const auto scale = context->saved_data["scale"].toTensor();
    const auto output = context->get_saved_variables()[0];
    ag::variable_list result;
    const bool plain = !at::GradMode::is_enabled() && gradients[0].scalar_type() == at::kFloat &&
                       gradients[0].dim() == 4 &&
                       (!output.defined() || output.is_contiguous(at::MemoryFormat::ChannelsLast));
    if (plain)
      result = split_back(gradients[0].contiguous(at::MemoryFormat::ChannelsLast), output, scale, widths);
    else
      result = split_back_recorded(gradients[0], output, scale, widths);
    for (size_t i = 0; i < widths.size(); ++i)
      if (!context->needs_input_grad(i)) result[i] = Tensor();
    result.resize(widths.size() + 3);  // scale, shift and relu have none
    return result;
  }

  static ag::variable_list split_back(const Tensor& gradient, const Tensor& output, const Tensor& scale,
                                      const std::vector<int64_t>& widths) {
    const int64_t channels = gradient.size(1), pixels = gradient.numel() / channels;
    const auto* from = gradient.const_data_ptr<float>();
    const auto* above = output.defined() ? output.const_data_ptr<float>() : nullptr;
    const auto* scales = scale.const_data_ptr<float>();
    auto shape = gradient.sizes().vec();
    ag::variable_list parts;
    for (const auto width : widths) {
      shape[1] = width;
      parts.push_back(at::empty(shape, gradient.options(), at::MemoryFormat::ChannelsLast));
    }
    parallel_for(0, pixels, std::max<int64_t>(1, 32768 / channels), [&](int64_t begin, int64_t end) {
      int64_t offset = begin * channels, first = 0;
      for (size_t i = 0; i < parts.size(); ++i) {
        auto* to = parts[i].mutable_data_ptr<float>() + begin * widths[i];
        if (above)
          transform_back(from + offset, above + offset, to, scales + first, end - begin, widths[i], channels);
        else
          transform_back(from + offset, to, scales + first, end - begin, widths[i], channels);
        offset += widths[i];
        first += widths[i];
      }
    });
    return parts;
  }

  static ag::variable_list split_back_recorded(const Tensor& gradient, const Tensor& output, const Tensor& scale,
                                               const std::vector<int64_t>& widths) {
    std::vector<int64_t> broadcast(static_cast<size_t>(gradient.dim()), 1);
    broadcast[1] = -1;
    const auto masked = output.defined() ? at::threshold_backward(gradient, output, 0) : gradient;
    return (masked * scale.view(broadcast)).split_with_sizes(widths, 1);
  }
};

}  // namespace

Tensor fixed_batch_norm(const std::vector<Tensor>& inputs, const Tensor& scale, const Tensor& shift, bool relu) {
  const bool recorded =
      at::GradMode::is_enabled() &&
      std::any_of(inputs.begin(), inputs.end(), [](const Tensor& input) { return input.requires_grad(); });
  return recorded ? BatchNormFunction::apply(at::TensorList(inputs), scale, shift, relu)
                  : join(inputs, scale, shift, relu);
}

}  // namespace gradcam
