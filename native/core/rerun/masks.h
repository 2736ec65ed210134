#pragma once
#include <vector>

#include "copies.h"
#include "core/methods/method.h"

namespace gradcam {

// One way in which a channel's mask is laid over the input: times `scale`, plus noise of a seed.
struct MaskVersion {
  double scale = 1, sigma = 0;
  uint64_t seed = 0;
};

// The versions whose scores a method averages: see Rerun.
std::vector<MaskVersion> mask_versions(Rerun rerun, const Sampling& sampling, uint64_t seed);

// Masks of the channels [N, C, spatial...] of a layer, and the versions of them that are averaged.
struct MaskPlan {
  Tensor channels;
  std::vector<MaskVersion> versions;
};

// Score-CAM's masks, one for each copy, [copies, 1, size...]: the channel of its image in `activation`,
// [N, C, spatial...], upsampled linearly with align_corners=true to `size` and min-max normalised with an epsilon of
// 1e-8. A copy of no channel gets a mask of zeros, which is also the mask of a constant channel: normalised, that would
// be rounding errors divided by the epsilon.
Tensor channel_masks(const Tensor& activation, const Copies& copies, const std::vector<int64_t>& size);

// A version of masks; the masks themselves where it leaves them as they are.
Tensor masks_of_version(const Tensor& masks, const MaskVersion& version);

}  // namespace gradcam
