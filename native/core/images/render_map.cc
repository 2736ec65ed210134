#include "render_map.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "core/base/rounding.h"

namespace gradcam {

namespace {

// The two cells that a pixel lies between, and the weight of the second.
struct Between {
  int cell, next;
  float share;
};

// The cells of the pixels along one axis from `first` up to `end`. A pixel's centre has the same relative position in
// the map as in the window; half a cell at the borders has no neighbour and repeats the last.
std::vector<Between> between(int first, int end, int pixels, int resized, int offset, int window, int cells) {
  std::vector<Between> result;
  result.reserve(static_cast<size_t>(end - first));
  for (int x = first; x < end; ++x) {
    const double in_window = (x + 0.5) * resized / pixels - offset;
    const double at = std::clamp(in_window * cells / window - 0.5, 0.0, static_cast<double>(cells - 1));
    const int cell = static_cast<int>(at);
    result.push_back({cell, std::min(cell + 1, cells - 1), static_cast<float>(at - cell)});
  }
  return result;
}

// The map at every pixel of the region, in [0, 1] or NaN.
std::vector<float> values_in_region(const MapView& map, int height, int width, const SeenPart& seen) {
  const auto& [top, left, bottom, right] = seen.region;
  const auto& framing = seen.framing;
  const auto rows = between(top, bottom, height, framing.resized_height, framing.top, framing.height, map.height);
  const auto columns = between(left, right, width, framing.resized_width, framing.left, framing.width, map.width);
  std::vector<float> values(rows.size() * columns.size());
  std::vector<float> line(static_cast<size_t>(map.width));
  float low = std::numeric_limits<float>::infinity(), high = -low;
  float* out = values.data();
  for (const auto& row : rows) {
    const float* above = map.data + static_cast<size_t>(row.cell) * line.size();
    const float* below = map.data + static_cast<size_t>(row.next) * line.size();
    for (size_t i = 0; i < line.size(); ++i) line[i] = above[i] * (1 - row.share) + below[i] * row.share;
    for (const auto& column : columns) {
      const float value = line[static_cast<size_t>(column.cell)] * (1 - column.share) +
                          line[static_cast<size_t>(column.next)] * column.share;
      low = std::min(low, value);
      high = std::max(high, value);
      *out++ = value;
    }
  }
  // One value everywhere is drawn as one, and not as the rounding errors of the interpolation.
  constexpr auto rounding = static_cast<float>(kRoundings) * std::numeric_limits<float>::epsilon();
  if (high - low <= rounding * std::max(std::abs(low), std::abs(high))) low = high;
  const float range = high - low + 1e-8f;
  for (auto& value : values) value = std::max(value - low, 0.f) / range;
  return values;
}

template <typename Level>
void draw_levels(const MapView& map, int height, int width, const SeenPart& seen, Level* result) {
  const auto values = values_in_region(map, height, width, seen);
  const auto& [top, left, bottom, right] = seen.region;
  std::fill_n(result, static_cast<size_t>(height) * static_cast<size_t>(width), Level{0});
  constexpr float most = std::numeric_limits<Level>::max();
  const float* value = values.data();
  for (int y = top; y < bottom; ++y) {
    Level* row = result + static_cast<size_t>(y) * static_cast<size_t>(width);
    for (int x = left; x < right; ++x, ++value)
      row[x] = std::isnan(*value) ? Level{0} : static_cast<Level>(std::clamp(*value, 0.f, 1.f) * most + 0.5f);
  }
}

// Calls `paint` for each pixel that the model saw, with its row, its column and the index of its colour in the table.
template <typename Paint>
void lay_over(const MapView& map, int height, int width, const SeenPart& seen, const Paint& paint) {
  const auto values = values_in_region(map, height, width, seen);
  const auto& [top, left, bottom, right] = seen.region;
  const float* value = values.data();
  for (int y = top; y < bottom; ++y)
    for (int x = left; x < right; ++x, ++value) paint(static_cast<size_t>(y), static_cast<size_t>(x), color_of(*value));
}

// Blends bytes by what each byte of the image and each colour of the map adds.
class ByteBlend {
 public:
  ByteBlend(const ColorTable& colors, float alpha) {
    for (size_t level = 0; level < 256; ++level)
      of_image_[level] = static_cast<float>(level) * (1 - alpha) + 0.5f;  // half a level, since a cast rounds down
    for (size_t color = 0; color < colors.size(); ++color)
      for (size_t channel = 0; channel < 3; ++channel) of_color_[color][channel] = colors[color][channel] * 255 * alpha;
  }

  uint8_t operator()(uint8_t level, size_t color, size_t channel) const {
    return static_cast<uint8_t>(std::min(255.f, of_image_[level] + of_color_[color][channel]));
  }

 private:
  std::array<float, 256> of_image_;
  ColorTable of_color_;
};

}  // namespace

void draw_grey(const MapView& map, int height, int width, const SeenPart& seen, uint8_t* result) {
  draw_levels(map, height, width, seen, result);
}

void draw_grey16(const MapView& map, int height, int width, const SeenPart& seen, uint16_t* result) {
  draw_levels(map, height, width, seen, result);
}

void draw_overlay(const MapView& map, const PixelsView& image, const SeenPart& seen, const ColorTable& colors,
                  float alpha, uint8_t* result) {
  const auto bytes = 3 * static_cast<size_t>(image.width) * static_cast<size_t>(image.height);
  std::copy_n(image.data, bytes, result);
  const ByteBlend blend(colors, alpha);
  const auto width = static_cast<size_t>(image.width);
  lay_over(map, image.height, image.width, seen, [&](size_t y, size_t x, size_t color) {
    uint8_t* pixel = result + 3 * (y * width + x);
    for (size_t channel = 0; channel < 3; ++channel) pixel[channel] = blend(pixel[channel], color, channel);
  });
}

template <typename Real>
void draw_overlay(const MapView& map, const PlanesView<Real>& image, const ColorTable& colors, Real alpha,
                  Real* result) {
  const SeenPart whole{{image.height, image.width, 0, 0, image.height, image.width}, {0, 0, image.height, image.width}};
  const auto width = static_cast<size_t>(image.width), plane = width * static_cast<size_t>(image.height);
  lay_over(map, image.height, image.width, whole, [&](size_t y, size_t x, size_t color) {
    for (size_t channel = 0; channel < 3; ++channel) {
      const auto at = channel * plane + y * width + x;
      const auto painted = static_cast<Real>(colors[color][channel]);
      result[at] = std::clamp(image.data[at] * (1 - alpha) + painted * alpha, Real{0}, Real{1});
    }
  });
}

template void draw_overlay(const MapView&, const PlanesView<float>&, const ColorTable&, float, float*);
template void draw_overlay(const MapView&, const PlanesView<double>&, const ColorTable&, double, double*);

}  // namespace gradcam
