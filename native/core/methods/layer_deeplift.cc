#include "method.h"

namespace gradcam {

// DeepLIFT of a layer: (A - A0) m, where m is G with the rescale rule for the nonlinearities after the layer.
// Shrikumar et al. 2017, "Learning Important Features Through Propagating Activation Differences", arXiv:1704.02685,
// section 3.5.1, for what follows the layer, as Captum has it.
Tensor layer_deeplift(const LayerEvidence& e) { return (e.activation - e.baseline_activation) * e.rescaled_gradient; }

}  // namespace gradcam
