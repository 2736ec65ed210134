#include "superpixels.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

namespace gradcam {
namespace {

// An image in which neighbouring values of a channel lie height * width apart.
struct Planes {
  std::vector<double> data;
  int64_t channels, height, width;

  int64_t pixels() const { return height * width; }
  double at(int64_t channel, int64_t pixel) const { return data[channel * pixels() + pixel]; }
};

struct Clusters {
  std::vector<double> centres;  // for each cluster its row, its column, and the mean of each channel
  int64_t count;
  double step;  // how far apart they began, in pixels
};

using PixelLabels = std::vector<int64_t>;

double linear(double value) { return value > 0.04045 ? std::pow((value + 0.055) / 1.055, 2.4) : value / 12.92; }
double curve(double value) { return value > 216.0 / 24389 ? std::cbrt(value) : (value * 24389 / 27 + 16) / 116; }

// sRGB in [0, 1] to CIELAB with the white of D65, in place: IEC 61966-2-1 and CIE 15.
void to_lab(Planes& image) {
  const auto pixels = image.pixels();
  auto* data = image.data.data();
  for (int64_t i = 0; i < pixels; ++i) {
    const auto r = linear(data[i]), g = linear(data[pixels + i]), b = linear(data[2 * pixels + i]);
    const auto x = curve((0.412453 * r + 0.35758 * g + 0.180423 * b) / 0.95047);
    const auto y = curve(0.212671 * r + 0.71516 * g + 0.072169 * b);
    const auto z = curve((0.019334 * r + 0.119193 * g + 0.950227 * b) / 1.08883);
    data[i] = 116 * y - 16;
    data[pixels + i] = 500 * (x - y);
    data[2 * pixels + i] = 200 * (y - z);
  }
}

// The image [C, H, W], scaled to the range of the lightness of CIELAB.
Planes to_planes(const at::Tensor& image) {
  const auto values = image.contiguous();
  const auto* from = values.const_data_ptr<double>();
  Planes planes{{from, from + values.numel()}, image.size(0), image.size(1), image.size(2)};
  const auto [least, most] = std::minmax_element(planes.data.begin(), planes.data.end());
  const auto low = *least, range = *most - *least;
  for (auto& value : planes.data) value = range > 0 ? (value - low) / range : 0;
  if (planes.channels == 3)
    to_lab(planes);
  else
    for (auto& value : planes.data) value *= 100;
  return planes;
}

// Clusters on a grid of about `segments` cells, with the values of the pixel in the middle of each.
Clusters grid_clusters(const Planes& image, int64_t segments) {
  const auto step = std::max(1.0, std::sqrt(static_cast<double>(image.pixels()) / static_cast<double>(segments)));
  const auto cells = [step](int64_t size) {
    return std::max<int64_t>(1, std::llround(static_cast<double>(size) / step));
  };
  const auto rows = cells(image.height), columns = cells(image.width);
  const auto middle = [](int64_t i, int64_t cells, int64_t size) {
    return (static_cast<double>(i) + 0.5) * (static_cast<double>(size) / static_cast<double>(cells)) - 0.5;
  };
  Clusters clusters{{}, rows * columns, step};
  clusters.centres.reserve(clusters.count * (2 + image.channels));
  for (int64_t i = 0; i < clusters.count; ++i) {
    const auto row = middle(i / columns, rows, image.height), column = middle(i % columns, columns, image.width);
    clusters.centres.insert(clusters.centres.end(), {row, column});
    const auto pixel = std::llround(row) * image.width + std::llround(column);
    for (int64_t c = 0; c < image.channels; ++c) clusters.centres.push_back(image.at(c, pixel));
  }
  return clusters;
}

// Gives each pixel the cluster that is nearest, of those within two steps in each direction: a step further than a
// cell, so that no pixel is beyond all of them once they have moved.
void assign(const Planes& image, const Clusters& clusters, double compactness, PixelLabels& labels) {
  std::vector<double> nearest(image.pixels(), std::numeric_limits<double>::infinity());
  const auto weight = compactness / clusters.step, spatial = weight * weight;
  const auto reach = 2 * clusters.step;
  const auto first = [](double at) { return std::max<int64_t>(0, std::llround(std::ceil(at))); };
  const auto last = [](double at, int64_t size) { return std::min<int64_t>(size - 1, std::llround(std::floor(at))); };
  for (int64_t k = 0; k < clusters.count; ++k) {
    const auto* centre = &clusters.centres[k * (2 + image.channels)];
    const auto row = centre[0], column = centre[1];
    for (auto y = first(row - reach); y <= last(row + reach, image.height); ++y)
      for (auto x = first(column - reach); x <= last(column + reach, image.width); ++x) {
        const auto pixel = y * image.width + x;
        const auto down = static_cast<double>(y) - row, along = static_cast<double>(x) - column;
        auto distance = spatial * (down * down + along * along);
        for (int64_t c = 0; c < image.channels; ++c) {
          const auto difference = image.at(c, pixel) - centre[2 + c];
          distance += difference * difference;
        }
        if (distance >= nearest[pixel]) continue;
        nearest[pixel] = distance;
        labels[pixel] = k;
      }
  }
}

// Moves each cluster to the mean of its pixels; one without any stays.
void update(const Planes& image, Clusters& clusters, const PixelLabels& labels) {
  const auto size = 2 + image.channels;
  std::vector<double> sums(clusters.centres.size()), pixels(clusters.count);
  for (int64_t pixel = 0; pixel < image.pixels(); ++pixel) {
    const auto k = labels[pixel];
    if (k < 0) continue;
    auto* sum = &sums[k * size];
    ++pixels[k];
    sum[0] += static_cast<double>(pixel / image.width);
    sum[1] += static_cast<double>(pixel % image.width);
    for (int64_t c = 0; c < image.channels; ++c) sum[2 + c] += image.at(c, pixel);
  }
  for (size_t i = 0; i < clusters.centres.size(); ++i)
    if (const auto own = pixels[i / size]; own > 0) clusters.centres[i] = sums[i] / own;
}

// Calls `fn` for the pixels above, below, left and right of one.
template <typename Fn>
void around(int64_t pixel, const Planes& image, Fn&& fn) {
  const auto x = pixel % image.width;
  if (pixel >= image.width) fn(pixel - image.width);
  if (pixel < image.pixels() - image.width) fn(pixel + image.width);
  if (x > 0) fn(pixel - 1);
  if (x < image.width - 1) fn(pixel + 1);
}

// The connected parts of clusters: of each pixel its part, and the pixels of each part.
struct ConnectedParts {
  PixelLabels of;
  std::vector<std::vector<int64_t>> pixels;
};

ConnectedParts connected_parts(const PixelLabels& labels, const Planes& image) {
  ConnectedParts parts{PixelLabels(labels.size(), -1), {}};
  for (int64_t start = 0; start < image.pixels(); ++start) {
    if (parts.of[start] != -1) continue;
    const auto number = static_cast<int64_t>(parts.pixels.size());
    std::vector<int64_t> part{start};
    parts.of[start] = number;
    for (size_t next = 0; next < part.size(); ++next)
      around(part[next], image, [&](int64_t other) {
        if (parts.of[other] != -1 || labels[other] != labels[start]) return;
        parts.of[other] = number;
        part.push_back(other);
      });
    parts.pixels.push_back(std::move(part));
  }
  return parts;
}

// The part with which part `i` shares the longest border, the first of equal ones; -1 where there is no other.
int64_t longest_border(const ConnectedParts& parts, const Planes& image, int64_t i) {
  std::map<int64_t, int64_t> borders;
  for (const auto pixel : parts.pixels[i])
    around(pixel, image, [&](int64_t other) {
      if (parts.of[other] != i) ++borders[parts.of[other]];
    });
  int64_t into = -1, longest = 0;
  for (const auto& [part, length] : borders)
    if (length > longest) std::tie(into, longest) = std::pair(part, length);
  return into;
}

// Makes every segment connected: parts of a cluster that lie apart become segments of their own, and those that are
// smaller than `least` pixels go, the smallest first, to the segment with which they share the longest border.
// PixelLabels from 0 on, without gaps.
PixelLabels connect(const PixelLabels& labels, const Planes& image, double least) {
  auto parts = connected_parts(labels, image);
  const auto is_small = [&](int64_t i) { return static_cast<double>(parts.pixels[i].size()) < least; };
  std::vector<int64_t> small;
  for (int64_t i = 0; i < static_cast<int64_t>(parts.pixels.size()); ++i)
    if (is_small(i)) small.push_back(i);
  std::stable_sort(small.begin(), small.end(),
                   [&](int64_t a, int64_t b) { return parts.pixels[a].size() < parts.pixels[b].size(); });
  for (const auto i : small) {
    if (!is_small(i)) continue;  // others went to it
    const auto into = longest_border(parts, image, i);
    if (into < 0) continue;
    for (const auto pixel : parts.pixels[i]) parts.of[pixel] = into;
    parts.pixels[into].insert(parts.pixels[into].end(), parts.pixels[i].begin(), parts.pixels[i].end());
    parts.pixels[i].clear();
  }
  std::map<int64_t, int64_t> numbers;
  for (auto& part : parts.of) part = numbers.emplace(part, static_cast<int64_t>(numbers.size())).first->second;
  return std::move(parts.of);
}

PixelLabels slic(const Planes& image, const SuperpixelOptions& options, const CancelFlag& cancel) {
  auto clusters = grid_clusters(image, options.segments);
  PixelLabels labels(image.pixels(), -1);
  for (int64_t i = 0; i < options.iterations; ++i) {
    cancel.check();
    const auto before = labels;
    assign(image, clusters, options.compactness, labels);
    if (labels == before) break;  // where no pixel changed its cluster, none ever will
    update(image, clusters, labels);
  }
  return connect(labels, image, clusters.step * clusters.step / 2);
}

}  // namespace

at::Tensor superpixels(const at::Tensor& images, const SuperpixelOptions& options, const CancelFlag& cancel) {
  const auto values = images.detach().to(at::kCPU, at::kDouble);
  auto result = at::empty({images.size(0), 1, images.size(2), images.size(3)}, at::kLong);
  for (int64_t n = 0; n < images.size(0); ++n) {
    const auto labels = slic(to_planes(values[n]), options, cancel);
    std::copy(labels.begin(), labels.end(), result[n].mutable_data_ptr<int64_t>());
  }
  return result;
}

}  // namespace gradcam
