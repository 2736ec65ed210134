#pragma once
#include <torch/types.h>

#include "render_map.h"

namespace gradcam {

// Maps [N, 1, h, w] over images [N, 3, H, W] in [0, 1], of float32 or float64. Computed on the CPU; the result is on
// the device of the images.
torch::Tensor overlay(const torch::Tensor& images, const torch::Tensor& maps, const ColorTable& colors, double alpha);

// Values [N, 1, H, W], of float32 or float64, in their colours: float32 [N, 3, H, W] on the device of the values.
torch::Tensor colorize(const torch::Tensor& values, const ColorTable& colors);

}  // namespace gradcam
