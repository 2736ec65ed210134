#include "method.h"

namespace gradcam {

// SS-CAM: Score-CAM, where the score of a channel is its mean over samples of the input times (the channel's mask plus
// normal noise). Wang et al. 2020, "SS-CAM: Smoothed Score-CAM for Sharper Visual Feature Localization",
// arXiv:2006.14255, algorithm 1 (noise in the mask). All channels of all images get the same noise in a sample, so that
// it takes no part in which of them scores higher.
Tensor ss_cam(const LayerEvidence& e) { return score_cam(e); }

}  // namespace gradcam
