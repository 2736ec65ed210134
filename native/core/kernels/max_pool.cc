#include "max_pool.h"

#include <ATen/CPUFunctions.h>
#include <ATen/Parallel.h>
#include <c10/util/Exception.h>
#include <torch/library.h>
#include <torch/types.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <tuple>
#include <vector>

#include "clones.h"

namespace gradcam {

using torch::Tensor;

namespace {

// One direction of the windows: they begin at i * stride - padding and are cut at the borders.
struct PoolAxis {
  int64_t size, kernel, stride, padding, windows;

  int64_t begin(int64_t window) const { return std::max<int64_t>(0, window * stride - padding); }
  int64_t end(int64_t window) const { return std::min(size, window * stride - padding + kernel); }
};

// The maximum of each column of rows, and the first row that has it. False where a value is NaN.
GRADCAM_CLONES("avx512f", "avx2")
bool columns_maxima(const float* rows, int64_t begin, int64_t end, int64_t width, float* most, int32_t* row_of) {
  int32_t nan = 0;
  for (int64_t x = 0; x < width; ++x) {
    const float value = rows[begin * width + x];
    most[x] = value;
    row_of[x] = static_cast<int32_t>(begin);
    nan |= value != value;
  }
  for (int64_t y = begin + 1; y < end; ++y) {
    const float* row = rows + y * width;
    for (int64_t x = 0; x < width; ++x) {
      const float value = row[x];
      const bool more = value > most[x];
      row_of[x] = more ? static_cast<int32_t>(y) : row_of[x];
      most[x] = more ? value : most[x];
      nan |= value != value;
    }
  }
  return nan == 0;
}

// LibTorch's order: row by row, the first of equals, and the last NaN.
void window_maximum(const float* plane, const PoolAxis& x, int64_t rows_begin, int64_t rows_end, int64_t window,
                    float& most, int64_t& at) {
  most = -std::numeric_limits<float>::infinity();
  at = rows_begin * x.size + x.begin(window);
  for (int64_t row = rows_begin; row < rows_end; ++row)
    for (int64_t column = x.begin(window); column < x.end(window); ++column) {
      const float value = plane[row * x.size + column];
      if (!(value > most) && value == value) continue;
      most = value;
      at = row * x.size + column;
    }
}

void pool_plane(const float* plane, const PoolAxis& y, const PoolAxis& x, float* to, int64_t* indices) {
  std::vector<float> most(static_cast<size_t>(x.size));
  std::vector<int32_t> row_of(static_cast<size_t>(x.size));
  for (int64_t i = 0; i < y.windows; ++i, to += x.windows, indices += x.windows) {
    const auto begin = y.begin(i), end = y.end(i);
    if (!columns_maxima(plane, begin, end, x.size, most.data(), row_of.data())) {
      for (int64_t j = 0; j < x.windows; ++j) window_maximum(plane, x, begin, end, j, to[j], indices[j]);
      continue;
    }
    for (int64_t j = 0; j < x.windows; ++j) {
      auto best = static_cast<size_t>(x.begin(j));
      for (auto column = best + 1; column < static_cast<size_t>(x.end(j)); ++column)
        if (most[column] > most[best] || (most[column] == most[best] && row_of[column] < row_of[best])) best = column;
      to[j] = most[best];
      indices[j] = row_of[best] * x.size + static_cast<int64_t>(best);
    }
  }
}

// None where the arguments are not those of plain pooling.
std::optional<PoolAxis> axis_of(int64_t size, size_t place, at::IntArrayRef kernel, at::IntArrayRef stride,
                                at::IntArrayRef padding, bool ceil_mode) {
  const auto of = [&](at::IntArrayRef list) {
    return list.size() == 1 ? list[0] : list.size() == 2 ? list[place] : -1;
  };
  PoolAxis axis{size, of(kernel), stride.empty() ? of(kernel) : of(stride), of(padding), 0};
  if (axis.kernel < 1 || axis.stride < 1 || axis.padding < 0 || axis.padding > axis.kernel / 2) return {};
  const auto room = size + 2 * axis.padding - axis.kernel;
  if (room < 0) return {};
  axis.windows = (room + (ceil_mode ? axis.stride - 1 : 0)) / axis.stride + 1;
  // None begins in the padding behind.
  if (ceil_mode && (axis.windows - 1) * axis.stride >= size + axis.padding) --axis.windows;
  return axis;
}

std::tuple<Tensor, Tensor> max_pool(const Tensor& input, at::IntArrayRef kernel, at::IntArrayRef stride,
                                    at::IntArrayRef padding, at::IntArrayRef dilation, bool ceil_mode) {
  const bool plain = input.scalar_type() == at::kFloat && input.layout() == at::kStrided && input.dim() == 4 &&
                     input.numel() > 0 && input.suggest_memory_format() == at::MemoryFormat::Contiguous &&
                     input.is_contiguous() &&
                     std::all_of(dilation.begin(), dilation.end(), [](auto d) { return d == 1; }) &&
                     input.size(2) * input.size(3) <= std::numeric_limits<int32_t>::max();
  const auto y = plain ? axis_of(input.size(2), 0, kernel, stride, padding, ceil_mode) : std::nullopt;
  const auto x = plain ? axis_of(input.size(3), 1, kernel, stride, padding, ceil_mode) : std::nullopt;
  if (!y || !x) return at::cpu::max_pool2d_with_indices(input, kernel, stride, padding, dilation, ceil_mode);
  const std::vector<int64_t> sizes{input.size(0), input.size(1), y->windows, x->windows};
  auto output = at::empty(sizes, input.options());
  auto indices = at::empty(sizes, input.options().dtype(at::kLong));
  const auto* from = input.const_data_ptr<float>();
  auto* to = output.mutable_data_ptr<float>();
  auto* at = indices.mutable_data_ptr<int64_t>();
  const auto area = y->size * x->size, windows = y->windows * x->windows;
  at::parallel_for(0, sizes[0] * sizes[1], std::max<int64_t>(1, 32768 / area), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) pool_plane(from + i * area, *y, *x, to + i * windows, at + i * windows);
  });
  return {output, indices};
}

// LibTorch says once on stderr that a kernel was replaced, which nobody could do anything about.
struct Silence : c10::WarningHandler {
  void process(const c10::Warning&) override {}
};

}  // namespace

void quicken_max_pool() {
  // Never destroyed: it would bring back LibTorch's kernel while other threads may be running ours.
  static const auto* const library = [] {
    Silence silence;
    const c10::WarningUtils::WarningHandlerGuard silent(&silence);
    auto* made = new torch::Library(torch::Library::IMPL, "aten", c10::DispatchKey::CPU, __FILE__, __LINE__);
    made->impl("max_pool2d_with_indices", TORCH_FN(max_pool));
    return made;
  }();
  static_cast<void>(library);
}

}  // namespace gradcam
