#pragma once
#include <torch/script.h>

#include "core/base/cancel.h"

namespace gradcam {

struct RegionOptions {
  int64_t dilation = 0;  // every region is made larger by a disk of this radius, in pixels
  double least = 1;      // a region that would add fewer pixels is left out
};

// The greedy choice of XRAI: of the regions of several segmentations, the one goes next that adds the most attribution
// by area to those that are chosen; each pixel has the gain of the region that brought it, and what no region brings
// has its own mean. Kapishnikov et al. 2019, "XRAI: Better Attributions Through Regions", arXiv:1906.02825,
// algorithm 1.
//
// values [N, 1, H, W], labels int64 [1 or N, S, H, W] of S segmentations -> float64 [N, 1, H, W] on the CPU
at::Tensor region_gains(const at::Tensor& values, const at::Tensor& labels, const RegionOptions& options,
                        const CancelFlag& cancel);

}  // namespace gradcam
