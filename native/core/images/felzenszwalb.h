#pragma once
#include <torch/script.h>

#include <vector>

#include "core/base/cancel.h"

namespace gradcam {

struct FelzenszwalbOptions {
  // k of the paper, for values from 0 to 255: how much two segments may differ, by their size. Each makes a
  // segmentation.
  std::vector<double> scales = {150};
  double sigma = 0.8;     // the deviation of the Gaussian that the image is smoothed by first, in pixels
  int64_t min_size = 20;  // segments of fewer pixels go to the neighbour that differs least
};

// Divides images into connected segments by a graph of pixels, each with its eight neighbours: edges are taken from
// the smallest difference in colour on, and join two segments where it is no larger than what differs within each of
// them, with k / size for small ones. Felzenszwalb and Huttenlocher 2004, "Efficient Graph-Based Image Segmentation",
// doi:10.1023/B:VISI.0000022288.19776.77, algorithm 1 with equations 4 and 5 and the smoothing of section 5. Each image
// is min-max normalised as a whole first, as a normalised image has no colours of its own.
//
// images [N, C, H, W] of floating-point numbers -> int64 [N, scales, H, W] on the CPU: labels from 0 on, without gaps,
// in the order of their first pixels. Smoothing and sorting, which take most of the time, are done once for all scales.
at::Tensor felzenszwalb(const at::Tensor& images, const FelzenszwalbOptions& options, const CancelFlag& cancel);

}  // namespace gradcam
