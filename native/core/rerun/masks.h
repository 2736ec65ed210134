#pragma once
#include <vector>

#include "copies.h"

namespace gradcam {

// Score-CAM's masks, one for each copy: the channel of its image in `activation`, [N, C, spatial...], enlarged linearly
// with align_corners=true to `size`, less its minimum, over its maximum then + 1e-8. A copy of no channel has a mask of
// zeros, as that of a constant channel is: rounding, enlarged by the epsilon, must not make one. [copies, 1, size...].
Tensor channel_masks(const Tensor& activation, const Copies& copies, const std::vector<int64_t>& size);

}  // namespace gradcam
