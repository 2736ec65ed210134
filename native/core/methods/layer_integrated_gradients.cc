#include "method.h"

namespace gradcam {

// Integrated gradients of a layer: (A - A0) times the mean of G where the layer returns the points of the straight line
// from A0 to A, a Gauss-Legendre quadrature. Sundararajan et al. 2017, "Axiomatic Attribution for Deep Networks",
// arXiv:1703.01365, equation 1, for what follows the layer, as Captum has it.
Tensor layer_integrated_gradients(const LayerEvidence& e) {
  return (e.activation - e.baseline_activation) * e.layer_path_gradient;
}

}  // namespace gradcam
