#pragma once
#include <vector>

#include "copies.h"

namespace gradcam {

// Score-CAM's masks, one for each copy, [copies, 1, size...]: the channel of its image in `activation`,
// [N, C, spatial...], upsampled linearly with align_corners=true to `size` and min-max normalised with an epsilon of
// 1e-8. A copy of no channel gets a mask of zeros, which is also the mask of a constant channel: normalised, that would
// be rounding errors divided by the epsilon.
Tensor channel_masks(const Tensor& activation, const Copies& copies, const std::vector<int64_t>& size);

}  // namespace gradcam
