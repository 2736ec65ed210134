#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "resample.h"

namespace gradcam {

// A map of a model's input, laid back over the image that the input was framed from.
struct MapView {
  const float* data;  // [height, width], covering the whole window of the framing
  int height, width;
};

// The pixels of the image that the window shows, by their edges.
struct Region {
  int top, left, bottom, right;
};

// How the model's input was cut out of the image, and what of the image it shows.
struct SeenPart {
  Framing framing;
  Region region;
};

// The colours of 256 levels as red, green and blue in [0, 1], and that of NaN.
using ColorTable = std::array<std::array<float, 3>, 257>;

// Which colour a value has: floor(256 x), the first below 0, the last from 1 on, as matplotlib picks it.
template <typename Real>
size_t color_of(Real value) {
  if (std::isnan(value)) return 256;
  return static_cast<size_t>(std::clamp(value * 256, Real{0}, Real{255}));
}

// Planes of red, green and blue, one after another, in [0, 1].
template <typename Real>
struct PlanesView {
  const Real* data;
  int height, width;
};

// What a map is drawn as, in the image's size. Values are bilinear between the map's cells, min-max normalised over
// the pixels that the model saw; NaN becomes 0. What the model did not see is 0, and in an overlay the image as it is.
void draw_grey(const MapView& map, int height, int width, const SeenPart& seen, uint8_t* result);
void draw_grey16(const MapView& map, int height, int width, const SeenPart& seen, uint16_t* result);
// `alpha` is how much of the map is seen.
void draw_overlay(const MapView& map, const PixelsView& image, const SeenPart& seen, const ColorTable& colors,
                  float alpha, uint8_t* result);
// The same over an image all of which the model saw, of float or double.
template <typename Real>
void draw_overlay(const MapView& map, const PlanesView<Real>& image, const ColorTable& colors, Real alpha,
                  Real* result);

}  // namespace gradcam
