#pragma once
#include "method.h"

namespace gradcam {

// All of these take [N, C, spatial...], look at each image as a table X of spatial positions by channels, centred per
// channel, and give [N, 1, spatial...]. An image that is not finite everywhere gives NaN.

// X v, with v the first right singular vector of X. A principal component has no sign of its own: LAPACK's depends on
// its version and on the shape, so that pytorch-grad-cam's maps may flip. Here the map agrees with a guide that says at
// which spatial positions there is something: sum over positions of map * guide >= 0.

// The guide is how active a spatial position is, the sum over channels of |X| before centring: Eigen-CAM's question.
Tensor principal_of_strength(const Tensor& contribution);

// The guide is the sum over channels itself, what a spatial position says for the target: for EigenGrad-CAM and eigen
// smoothing, whose map so points the same way as the plain one.
Tensor principal_of_evidence(const Tensor& contribution);

// The side on which the map has its element of largest magnitude: for Seg-Eigen-CAM.
Tensor principal_of_largest(const Tensor& contribution);

// KPCA-CAM's projection: see kpca_cam.cc.
Tensor kernel_principal(const Tensor& contribution);

}  // namespace gradcam
