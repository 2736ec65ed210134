#include "max_pool.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "clones.h"
#include "core/base/parallel.h"

namespace gradcam {

using torch::Tensor;

namespace {

// One spatial dimension of the windows: they begin at i * stride - padding and are cut at the borders.
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
std::optional<PoolAxis> axis_of(int64_t size, size_t dimension, at::IntArrayRef kernel, at::IntArrayRef stride,
                                at::IntArrayRef padding, bool ceil_mode) {
  const auto of = [&](at::IntArrayRef list) {
    return list.size() == 1 ? list[0] : list.size() == 2 ? list[dimension] : -1;
  };
  PoolAxis axis{size, of(kernel), stride.empty() ? of(kernel) : of(stride), of(padding), 0};
  if (axis.kernel < 1 || axis.stride < 1 || axis.padding < 0 || axis.padding > axis.kernel / 2) return {};
  const auto last = size + 2 * axis.padding - axis.kernel;  // where a window can begin
  if (last < 0) return {};
  axis.windows = (last + (ceil_mode ? axis.stride - 1 : 0)) / axis.stride + 1;
  // No window begins in the padding after the last pixel.
  if (ceil_mode && (axis.windows - 1) * axis.stride >= size + axis.padding) --axis.windows;
  return axis;
}

bool is_plain(const Tensor& input, at::IntArrayRef dilation) {
  return input.is_cpu() && input.scalar_type() == at::kFloat && input.layout() == at::kStrided && input.dim() == 4 &&
         input.numel() > 0 && input.is_contiguous() && input.suggest_memory_format() == at::MemoryFormat::Contiguous &&
         !input.is_neg() && !input._is_zerotensor() &&
         std::all_of(dilation.begin(), dilation.end(), [](auto d) { return d == 1; }) &&
         input.size(2) * input.size(3) <= std::numeric_limits<int32_t>::max();
}

}  // namespace

std::optional<PooledPlanes> max_pool_planes(const Tensor& input, at::IntArrayRef kernel, at::IntArrayRef stride,
                                            at::IntArrayRef padding, at::IntArrayRef dilation, bool ceil_mode) {
  if (!is_plain(input, dilation)) return {};
  const auto y = axis_of(input.size(2), 0, kernel, stride, padding, ceil_mode);
  const auto x = axis_of(input.size(3), 1, kernel, stride, padding, ceil_mode);
  if (!y || !x) return {};
  const std::vector<int64_t> sizes{input.size(0), input.size(1), y->windows, x->windows};
  PooledPlanes pooled{at::empty(sizes, input.options()), at::empty(sizes, input.options().dtype(at::kLong))};
  const auto* from = input.const_data_ptr<float>();
  auto* to = pooled.maxima.mutable_data_ptr<float>();
  auto* at = pooled.indices.mutable_data_ptr<int64_t>();
  const auto area = y->size * x->size, windows = y->windows * x->windows;
  parallel_for(0, sizes[0] * sizes[1], std::max<int64_t>(1, 32768 / area), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) pool_plane(from + i * area, *y, *x, to + i * windows, at + i * windows);
  });
  return pooled;
}

}  // namespace gradcam
