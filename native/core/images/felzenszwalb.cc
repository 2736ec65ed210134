#include "felzenszwalb.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <tuple>
#include <utility>
#include <vector>

namespace gradcam {
namespace {

// Values of each channel row by row, one channel after another.
struct SmoothedImage {
  std::vector<double> data;
  int64_t channels, height, width;

  int64_t pixels() const { return height * width; }
};

SmoothedImage to_smoothed(const at::Tensor& image) {
  const auto values = image.contiguous();
  const auto* from = values.const_data_ptr<double>();
  SmoothedImage result{{from, from + values.numel()}, image.size(0), image.size(1), image.size(2)};
  const auto [least, most] = std::minmax_element(result.data.begin(), result.data.end());
  const auto low = *least, range = *most - *least;
  for (auto& value : result.data) value = range > 0 ? (value - low) / range : 0;
  return result;
}

// The index that stands for one beyond a border: the line is mirrored at its ends, which are repeated.
int64_t mirrored(int64_t i, int64_t size) {
  const auto period = 2 * size;
  const auto at = ((i % period) + period) % period;
  return at < size ? at : period - 1 - at;
}

// Smooths a line of `size` values that lie `stride` apart; `before` is room for a copy of them.
void blur_line(double* line, int64_t size, int64_t stride, const std::vector<double>& kernel,
               std::vector<double>& before) {
  const auto radius = static_cast<int64_t>(kernel.size() / 2);
  for (int64_t i = 0; i < size; ++i) before[i] = line[i * stride];
  for (int64_t i = 0; i < size; ++i) {
    double sum = 0;
    for (int64_t k = -radius; k <= radius; ++k) sum += kernel[k + radius] * before[mirrored(i + k, size)];
    line[i * stride] = sum;
  }
}

// A Gaussian, cut off at four deviations.
void blur_image(SmoothedImage& image, double sigma) {
  const auto radius = static_cast<int64_t>(4 * sigma + 0.5);
  if (radius == 0) return;
  std::vector<double> kernel(2 * radius + 1);
  for (int64_t k = -radius; k <= radius; ++k)
    kernel[k + radius] = std::exp(-0.5 * static_cast<double>(k * k) / (sigma * sigma));
  const auto total = std::accumulate(kernel.begin(), kernel.end(), 0.0);
  for (auto& weight : kernel) weight /= total;
  std::vector<double> before(std::max(image.height, image.width));
  for (int64_t c = 0; c < image.channels; ++c) {
    auto* plane = image.data.data() + c * image.pixels();
    for (int64_t x = 0; x < image.width; ++x) blur_line(plane + x, image.height, image.width, kernel, before);
    for (int64_t y = 0; y < image.height; ++y) blur_line(plane + y * image.width, image.width, 1, kernel, before);
  }
}

struct PixelEdge {
  double weight;
  int32_t a, b;
};

// The edges to the right, to the left below, below and to the right below of each pixel, from the least weight on.
std::vector<PixelEdge> pixel_edges(const SmoothedImage& image) {
  constexpr std::pair<int64_t, int64_t> steps[] = {{0, 1}, {1, -1}, {1, 0}, {1, 1}};
  std::vector<PixelEdge> edges;
  edges.reserve(4 * image.pixels());
  for (int64_t y = 0; y < image.height; ++y)
    for (int64_t x = 0; x < image.width; ++x)
      for (const auto& [down, right] : steps) {
        const auto row = y + down, column = x + right;
        if (row >= image.height || column < 0 || column >= image.width) continue;
        const auto a = y * image.width + x, b = row * image.width + column;
        double sum = 0;
        for (int64_t c = 0; c < image.channels; ++c) {
          const auto* plane = image.data.data() + c * image.pixels();
          sum += (plane[a] - plane[b]) * (plane[a] - plane[b]);
        }
        // NaN would have no position in the order.
        const auto weight = std::isnan(sum) ? std::numeric_limits<double>::infinity() : std::sqrt(sum);
        edges.push_back({weight, static_cast<int32_t>(a), static_cast<int32_t>(b)});
      }
  // Equal weights keep an order of their own, so that the same image has the same segments everywhere.
  std::sort(edges.begin(), edges.end(), [](const PixelEdge& a, const PixelEdge& b) {
    return std::tie(a.weight, a.a, a.b) < std::tie(b.weight, b.a, b.b);
  });
  return edges;
}

// Segments, as trees of pixels: each with its size and the largest difference that joined it, which is the largest
// of its minimum spanning tree.
class SegmentForest {
 public:
  explicit SegmentForest(int64_t pixels) : parent_(pixels), size_(pixels, 1), difference_(pixels) {
    std::iota(parent_.begin(), parent_.end(), 0);
  }

  int32_t of(int32_t pixel) {
    while (parent_[pixel] != pixel) {
      parent_[pixel] = parent_[parent_[pixel]];
      pixel = parent_[pixel];
    }
    return pixel;
  }

  int64_t size(int32_t segment) const { return size_[segment]; }

  // Int(C) + k / |C|, equations 4 and 5.
  double bound(int32_t segment, double k) const {
    return difference_[segment] + k / static_cast<double>(size_[segment]);
  }

  void join(int32_t a, int32_t b, double difference) {
    if (size_[a] < size_[b]) std::swap(a, b);
    parent_[b] = a;
    size_[a] += size_[b];
    difference_[a] = difference;
  }

 private:
  std::vector<int32_t> parent_;
  std::vector<int64_t> size_;
  std::vector<double> difference_;
};

// The label of each pixel.
std::vector<int64_t> segment(const std::vector<PixelEdge>& edges, int64_t pixels, double scale, int64_t min_size,
                             const CancelFlag& cancel) {
  cancel.check();
  SegmentForest segments(pixels);
  const auto k = scale / 255;
  for (const auto& edge : edges) {
    const auto a = segments.of(edge.a), b = segments.of(edge.b);
    if (a != b && edge.weight <= std::min(segments.bound(a, k), segments.bound(b, k))) segments.join(a, b, edge.weight);
  }
  cancel.check();
  for (const auto& edge : edges) {
    const auto a = segments.of(edge.a), b = segments.of(edge.b);
    if (a != b && std::min(segments.size(a), segments.size(b)) < min_size) segments.join(a, b, edge.weight);
  }
  std::vector<int64_t> labels(pixels), numbers(pixels, -1);
  int64_t count = 0;
  for (int64_t pixel = 0; pixel < pixels; ++pixel) {
    auto& number = numbers[segments.of(static_cast<int32_t>(pixel))];
    if (number < 0) number = count++;
    labels[pixel] = number;
  }
  return labels;
}

}  // namespace

at::Tensor felzenszwalb(const at::Tensor& images, const FelzenszwalbOptions& options, const CancelFlag& cancel) {
  const auto values = images.detach().to(at::kCPU, at::kDouble);
  const auto scales = static_cast<int64_t>(options.scales.size());
  auto result = at::empty({images.size(0), scales, images.size(2), images.size(3)}, at::kLong);
  auto* next = result.mutable_data_ptr<int64_t>();
  for (int64_t n = 0; n < images.size(0); ++n) {
    auto image = to_smoothed(values[n]);
    blur_image(image, options.sigma);
    cancel.check();
    const auto edges = pixel_edges(image);
    for (const auto scale : options.scales) {
      const auto labels = segment(edges, image.pixels(), scale, options.min_size, cancel);
      next = std::copy(labels.begin(), labels.end(), next);
    }
  }
  return result;
}

}  // namespace gradcam
