#include "method.h"

namespace gradcam {

// LayerCAM: map = max(sum_k max(G_k, 0) A_k, 0), which stays sharp in early layers.
// Jiang et al. 2021, "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization", IEEE Transactions on
// Image Processing 30, equations 3 to 5.
Tensor layer_cam(const LayerEvidence& e) { return e.gradient.clamp_min(0) * e.activation; }

}  // namespace gradcam
