#include "rule.h"

namespace gradcam {

// R_i = sum_j x_i w_ij R_j / (z_j + epsilon sign(z_j)), z_j = sum_i x_i w_ij + b_j: Bach et al. 2015, "On Pixel-Wise
// Explanations for Non-Linear Classifier Decisions by Layer-Wise Relevance Propagation",
// doi:10.1371/journal.pone.0130140, equation 58. What the bias and epsilon get is lost.
Tensor epsilon_rule(const WeightedLayer& layer, const Tensor& relevance, const Rule& rule) {
  return layer.x * layer.transpose(relevance / stabilized(layer.z(), rule.epsilon), layer.weight);
}

}  // namespace gradcam
