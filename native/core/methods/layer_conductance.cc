#include "method.h"

namespace gradcam {

// Conductance: the share of the score that flows through each element of the layer on the straight line from a baseline
// to the input, sum_i G(x_i) * (A(x_i+1) - A(x_i)). Dhamdhere et al. 2018, "How Important Is a Neuron?",
// arXiv:1805.12233, definition 1 by the chain rule, at the points that Captum takes.
Tensor layer_conductance(const LayerEvidence& e) { return e.conductance; }

}  // namespace gradcam
