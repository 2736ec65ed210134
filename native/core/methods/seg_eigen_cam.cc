#include "method.h"

namespace gradcam {

// Seg-Eigen-CAM: Eigen-CAM with X = |G| * A, on the side of its element of largest magnitude. Chung and Ying 2025,
// "Seg-Eigen-CAM: Eigen-Value-Based Visual Explanations for Semantic Segmentation Models", doi:10.3390/app15137562,
// equations 10 to 13.
Tensor seg_eigen_cam(const LayerEvidence& e) { return e.gradient.abs() * e.activation; }

}  // namespace gradcam
