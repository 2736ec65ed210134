#pragma once
#include <cstdint>

#include "resample.h"

namespace gradcam {

// A map of a model's input, to be drawn on the image that the input was framed from.
struct MapView {
  const float* data;  // [height, width], covering the whole window of the framing
  int height, width;
};

// The pixels of the image that the window shows, by their edges.
struct Region {
  int top, left, bottom, right;
};

Region seen_region(int height, int width, const Framing& framing);

// Draw a map in the image's size: bilinear between the map's cells, min-max normalised over the pixels that the model
// saw; NaN becomes 0. Pixels that the model did not see are 0, and in an overlay those of the image.
void draw_grey(const MapView& map, int height, int width, const Framing& framing, uint8_t* result);
void draw_grey16(const MapView& map, int height, int width, const Framing& framing, uint16_t* result);
// `colors` are 256 triples of red, green and blue in [0, 1]; NaN is black. `alpha` is the opacity of the map.
void draw_overlay(const MapView& map, const PixelsView& image, const Framing& framing, const float* colors, float alpha,
                  uint8_t* result);

}  // namespace gradcam
