#pragma once
#include <torch/script.h>

#include "core/base/cancel.h"

namespace gradcam {

// Images whose pixels outside of `keep` are replaced so that each is the weighted mean of its neighbours inside the
// image: 1/6 for the four beside it, 1/12 for the four at its corners. That is a sparse linear system per image, solved
// in float64 to about nine digits. Rong et al. 2022, "A Consistent and Efficient Evaluation Strategy for Attribution
// Methods" (ROAD), arXiv:2202.00449.
//
// images [N, C, H, W], keep bool [N, H, W] -> [N, C, H, W] of the images' dtype and device.
// ERR_INVALID_ARGUMENT where an image keeps no pixel at all: the system has no solution then.
torch::Tensor impute(const torch::Tensor& images, const torch::Tensor& keep, const CancelFlag& cancel);

}  // namespace gradcam
