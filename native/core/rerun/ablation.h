#pragma once
#include "copies.h"
#include "core/maps/maps.h"

namespace gradcam {

// Which channels of what a layer returned are anything but zeros, bool [N, C]: zeros in their place change something.
Tensor nonzero_channels(const Tensor& activation, const LayerDims& dims);

// What the layer returned for the images of the copies, with zeros in the place of each one's channel. Tokens that are
// no places, such as a class token, lose the channel, too.
Tensor ablate(const Tensor& activation, const LayerDims& dims, const Copies& copies);

}  // namespace gradcam
