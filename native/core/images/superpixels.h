#pragma once
#include <torch/script.h>

#include "core/base/cancel.h"

namespace gradcam {

struct SuperpixelOptions {
  int64_t segments = 50;    // about how many
  double compactness = 10;  // how much a distance of one step weighs beside a colour's
  int64_t iterations = 10;  // how often clusters are moved at most
};

// Divides images into about `segments` connected parts whose pixels are alike and near each other: k-means over colour
// and position, each cluster searching only around itself. Achanta et al. 2012, "SLIC Superpixels Compared to
// State-of-the-Art Superpixel Methods", doi:10.1109/TPAMI.2012.120, algorithm 1; the seeds stay where the grid has
// them. Each image is min-max normalised as a whole first, as a normalised image has no colours of its own, and taken
// to CIELAB where it has three channels.
//
// images [N, C, H, W] of floating-point numbers -> int64 [N, 1, H, W] on the CPU: labels from 0 on, without gaps.
at::Tensor superpixels(const at::Tensor& images, const SuperpixelOptions& options, const CancelFlag& cancel);

}  // namespace gradcam
