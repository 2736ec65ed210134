#pragma once
#include "copies.h"
#include "core/maps/maps.h"

namespace gradcam {

// Which channels of a layer's output are not zero everywhere, bool [N, C]: setting the others to zero changes nothing.
Tensor nonzero_channels(const Tensor& activation, const LayerDims& dims);

// The layer's output for the images of the copies, with the channel of each copy set to zero. That includes tokens that
// are not spatial, such as a class token.
Tensor ablate(const Tensor& activation, const LayerDims& dims, const Copies& copies);

}  // namespace gradcam
