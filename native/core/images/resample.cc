#include "resample.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "core/kernels/clones.h"

namespace gradcam {

namespace {

// Weights are integers in units of 2^-22, so that a sum of 8-bit pixels stays within 32 bits.
constexpr int kFractionBits = 22;
constexpr int32_t kHalf = 1 << (kFractionBits - 1);

uint8_t to_byte(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> kFractionBits, 0, 255)); }

double triangle(double x) {
  x = std::abs(x);
  return x < 1 ? 1 - x : 0;
}

// Keys's cubic with a = -1/2.
double cubic(double x) {
  x = std::abs(x);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

double sinc(double x) {
  if (x == 0) return 1;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double lanczos3(double x) { return std::abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0; }

constexpr Kernel kKernels[] = {{"bilinear", 1, triangle}, {"bicubic", 2, cubic}, {"lanczos", 3, lanczos3}};

// What makes one pixel along one axis: source pixels from `start` on, and their weights.
struct Taps {
  int start, count;
  const int32_t* weights;
};

struct ResampleAxis {
  std::vector<Taps> taps;
  std::vector<int32_t> weights;
};

// The taps of `count` result pixels from `first` on, along an axis resized from `from` to `to` pixels.
ResampleAxis make_axis(int from, int to, int first, int count, const Kernel& kernel) {
  const double scale = static_cast<double>(from) / to;
  const double stretch = std::max(scale, 1.0);
  const double support = kernel.support * stretch;
  const auto most = static_cast<size_t>(std::ceil(support)) * 2 + 1;
  ResampleAxis axis;
  axis.weights.resize(most * static_cast<size_t>(count));
  std::vector<double> exact(most);
  for (int i = 0; i < count; ++i) {
    const double centre = (first + i + 0.5) * scale;
    const int start = std::max(0, static_cast<int>(centre - support + 0.5));
    const int end = std::min(from, static_cast<int>(centre + support + 0.5));
    double sum = 0;
    for (int x = start; x < end; ++x) {
      exact[static_cast<size_t>(x - start)] = kernel.weight((x - centre + 0.5) * (1 / stretch));
      sum += exact[static_cast<size_t>(x - start)];
    }
    int32_t* weights = axis.weights.data() + most * static_cast<size_t>(i);
    for (int x = 0; x < end - start; ++x) {
      const double share = sum == 0 ? 0 : exact[static_cast<size_t>(x)] / sum;
      weights[x] = static_cast<int32_t>(share * (1 << kFractionBits) + (share < 0 ? -0.5 : 0.5));
    }
    axis.taps.push_back({start, end - start, weights});
  }
  return axis;
}

// Bytes of which `channels` that lie side by side make a pixel.
struct BytesView {
  const uint8_t* data;
  int height, width;
  size_t channels;
};

// The passes are simple sums over bytes: registers of twice the width make them twice as fast.
GRADCAM_CLONES("avx2")
void along_row(const uint8_t* row, const Taps* taps, size_t pixels, uint8_t* result) {
  for (size_t i = 0; i < pixels; ++i) {
    int32_t red = kHalf, green = kHalf, blue = kHalf;
    const uint8_t* source = row + 3 * static_cast<size_t>(taps[i].start);
    for (int k = 0; k < taps[i].count; ++k, source += 3) {
      const int32_t weight = taps[i].weights[k];
      red += source[0] * weight;
      green += source[1] * weight;
      blue += source[2] * weight;
    }
    *result++ = to_byte(red);
    *result++ = to_byte(green);
    *result++ = to_byte(blue);
  }
}

GRADCAM_CLONES("avx2")
void along_grey_row(const uint8_t* row, const Taps* taps, size_t pixels, uint8_t* result) {
  for (size_t i = 0; i < pixels; ++i) {
    int32_t grey = kHalf;
    for (int k = 0; k < taps[i].count; ++k) grey += row[taps[i].start + k] * taps[i].weights[k];
    result[i] = to_byte(grey);
  }
}

// Across rows of `length` bytes. In blocks of a fixed size, which the compiler vectorizes.
GRADCAM_CLONES("avx2")
void across_rows(const uint8_t* rows, size_t length, const Taps& taps, uint8_t* result) {
  constexpr size_t kBlock = 32;
  size_t at = 0;
  for (; at + kBlock <= length; at += kBlock) {
    int32_t sums[kBlock];
    for (size_t i = 0; i < kBlock; ++i) sums[i] = kHalf;
    for (int k = 0; k < taps.count; ++k) {
      const uint8_t* row = rows + static_cast<size_t>(k) * length + at;
      const int32_t weight = taps.weights[k];
      for (size_t i = 0; i < kBlock; ++i) sums[i] += row[i] * weight;
    }
    for (size_t i = 0; i < kBlock; ++i) result[at + i] = to_byte(sums[i]);
  }
  for (; at < length; ++at) {
    int32_t sum = kHalf;
    for (int k = 0; k < taps.count; ++k) sum += rows[static_cast<size_t>(k) * length + at] * taps.weights[k];
    result[at] = to_byte(sum);
  }
}

// `count` rows from `first` on of the image resized along its columns alone.
std::vector<uint8_t> lower(const BytesView& image, int resized_height, int first, int count, const Kernel& kernel) {
  const auto rows = make_axis(image.height, resized_height, first, count, kernel);
  const auto stride = image.channels * static_cast<size_t>(image.width);
  std::vector<uint8_t> result(stride * static_cast<size_t>(count));
  for (size_t y = 0; y < static_cast<size_t>(count); ++y) {
    const auto& taps = rows.taps[y];
    across_rows(image.data + stride * static_cast<size_t>(taps.start), stride, taps, result.data() + stride * y);
  }
  return result;
}

// As frame_image and frame_grey; `fill` has a byte and `table` 256 values for each channel.
void frame_bytes(const BytesView& image, const Framing& framing, const Kernel& kernel, const uint8_t* fill,
                 const float* table, float* planes) {
  // The part of the window that lies in the resized image. Nothing outside it is computed.
  const int top = std::max(0, framing.top), bottom = std::min(framing.resized_height, framing.top + framing.height);
  const int left = std::max(0, framing.left), right = std::min(framing.resized_width, framing.left + framing.width);
  const auto size = static_cast<size_t>(framing.height) * static_cast<size_t>(framing.width);
  const size_t channels = image.channels;
  for (size_t channel = 0; channel < channels; ++channel)
    std::fill_n(planes + channel * size, size, table[256 * channel + fill[channel]]);
  if (top >= bottom || left >= right) return;

  // Very tall images are resized along their columns first, as in Pillow: the order matters, since each pass rounds to
  // bytes.
  if (image.height > 100 * static_cast<int64_t>(image.width) && framing.resized_height < image.height) {
    const auto low = lower(image, framing.resized_height, top, bottom - top, kernel);
    const Framing rest{bottom - top, framing.resized_width, framing.top - top,
                       framing.left, framing.height,        framing.width};
    return frame_bytes({low.data(), bottom - top, image.width, channels}, rest, kernel, fill, table, planes);
  }

  const auto rows = make_axis(image.height, framing.resized_height, top, bottom - top, kernel);
  const auto columns = make_axis(image.width, framing.resized_width, left, right - left, kernel);
  const bool same_height = image.height == framing.resized_height, same_width = image.width == framing.resized_width;
  const int first = same_height ? top : rows.taps.front().start;
  const int end = same_height ? bottom : rows.taps.back().start + rows.taps.back().count;

  const auto length = channels * static_cast<size_t>(right - left);
  const auto stride = channels * static_cast<size_t>(image.width);
  std::vector<uint8_t> narrow(length * static_cast<size_t>(end - first));
  for (int y = first; y < end; ++y) {
    const uint8_t* row = image.data + stride * static_cast<size_t>(y);
    uint8_t* result = narrow.data() + length * static_cast<size_t>(y - first);
    if (same_width)
      std::memcpy(result, row + channels * static_cast<size_t>(left), length);
    else if (channels == 1)
      along_grey_row(row, columns.taps.data(), columns.taps.size(), result);
    else
      along_row(row, columns.taps.data(), columns.taps.size(), result);
  }

  std::vector<uint8_t> line(length);
  for (int y = top; y < bottom; ++y) {
    const auto& taps = rows.taps[static_cast<size_t>(y - top)];
    const uint8_t* source = narrow.data() + length * static_cast<size_t>(same_height ? y - first : taps.start - first);
    if (!same_height) {
      across_rows(source, length, taps, line.data());
      source = line.data();
    }
    const auto at = static_cast<size_t>(y - framing.top) * static_cast<size_t>(framing.width) +
                    static_cast<size_t>(left - framing.left);
    for (size_t channel = 0; channel < channels; ++channel) {
      float* plane = planes + channel * size + at;
      const float* values = table + 256 * channel;
      for (size_t x = 0; x < static_cast<size_t>(right - left); ++x) plane[x] = values[source[channels * x + channel]];
    }
  }
}

// ITU-R 601-2 luma in Pillow's fixed-point numbers.
uint8_t luma(const uint8_t* pixel) {
  return static_cast<uint8_t>((19595U * pixel[0] + 38470U * pixel[1] + 7471U * pixel[2] + 0x8000U) >> 16U);
}

}  // namespace

const Kernel* find_kernel(const std::string& name) {
  for (const auto& kernel : kKernels)
    if (name == kernel.name) return &kernel;
  return nullptr;
}

void frame_image(const PixelsView& image, const Framing& framing, const Kernel& kernel,
                 const std::array<uint8_t, 3>& fill, const float* table, float* planes) {
  frame_bytes({image.data, image.height, image.width, 3}, framing, kernel, fill.data(), table, planes);
}

void frame_grey(const PixelsView& image, const Framing& framing, const Kernel& kernel,
                const std::array<uint8_t, 3>& fill, const float* table, float* plane) {
  std::vector<uint8_t> grey(static_cast<size_t>(image.height) * static_cast<size_t>(image.width));
  for (size_t i = 0; i < grey.size(); ++i) grey[i] = luma(image.data + 3 * i);
  const uint8_t around = luma(fill.data());
  frame_bytes({grey.data(), image.height, image.width, 1}, framing, kernel, &around, table, plane);
}

}  // namespace gradcam
