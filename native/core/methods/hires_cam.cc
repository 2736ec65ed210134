#include "method.h"

namespace gradcam {

// HiResCAM: map = max(sum_k G_k A_k, 0), position by position, so that it shows what the layer really contributed.
// Draelos and Carin 2020, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural
// networks", arXiv:2011.08891, equation 3.
Tensor hires_cam(const LayerEvidence& e) { return e.gradient * e.activation; }

}  // namespace gradcam
