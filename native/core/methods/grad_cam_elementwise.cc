#include "method.h"

namespace gradcam {

// Grad-CAM elementwise: map = sum_k max(G_k A_k, 0): like HiResCAM, but channels that speak against the target cannot
// cancel those that speak for it. There is no paper: it is pytorch-grad-cam's GradCAMElementWise.
Tensor grad_cam_elementwise(const LayerEvidence& e) { return (e.gradient * e.activation).clamp_min_(0); }

}  // namespace gradcam
