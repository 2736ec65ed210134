#pragma once
#include <torch/script.h>

#include <vector>

#include "core/base/cancel.h"

namespace gradcam {

struct ConceptColors {
  std::vector<double> most;    // the value of each concept that has its full colour; empty: its greatest in the maps
  std::vector<double> colors;  // red, green and blue of each concept, from 0 to 255
  double alpha;                // how much of it is seen there
};

// Paints each pixel in the colour of the concept that is nearest to its own `most` there, as strong as it is near.
//
// image [1, 3, H, W] in [0, 1], maps [1, K, h, w], which are upsampled to it (bilinear) -> uint8 [H, W, 3] on the CPU
at::Tensor paint_concepts(const at::Tensor& image, const at::Tensor& maps, const ConceptColors& how,
                          const CancelFlag& cancel);

}  // namespace gradcam
