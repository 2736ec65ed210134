#include "method.h"

namespace gradcam {

// IS-CAM: Score-CAM, where the score of a channel is its mean over i = 1..n of the input times c_i times the channel's
// mask, c_i = sum over j <= i of j / n. Naidu et al. 2020, "IS-CAM: Integrated Score-CAM for axiomatic-based
// explanations", arXiv:2010.03023, as torch-cam has it.
Tensor is_cam(const LayerEvidence& e) { return score_cam(e); }

}  // namespace gradcam
