#include "method.h"

namespace gradcam {

// Internal influence: the mean of G on the straight line from a baseline to the input, a Gauss-Legendre quadrature.
// Leino et al. 2018, "Influence-Directed Explanations for Deep Convolutional Networks", arXiv:1802.03788, definition 1
// with the distribution of influence that Captum takes.
Tensor internal_influence(const LayerEvidence& e) { return e.path_gradient; }

}  // namespace gradcam
