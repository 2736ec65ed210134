#pragma once
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

// What a map is drawn as, in the image's size. Values are bilinear between the map's cells, min-max normalised over
// the pixels that the model saw; NaN becomes 0. What the model did not see is 0, and in an overlay the image as it is.
void draw_grey(const MapView& map, int height, int width, const SeenPart& seen, uint8_t* result);
void draw_grey16(const MapView& map, int height, int width, const SeenPart& seen, uint16_t* result);
// `colors` are 256 of red, green and blue in [0, 1]; NaN is black. `alpha` is how much of the map is seen.
void draw_overlay(const MapView& map, const PixelsView& image, const SeenPart& seen, const float* colors, float alpha,
                  uint8_t* result);

}  // namespace gradcam
