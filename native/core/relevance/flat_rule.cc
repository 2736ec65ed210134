#include "rule.h"

namespace gradcam {

// R_i = sum_j R_j / n_j, n_j the number of inputs of j: Lapuschkin et al. 2019, "Unmasking Clever Hans Predictors",
// doi:10.1038/s41467-019-08987-4.
Tensor flat_rule(const WeightedLayer& layer, const Tensor& relevance, const Rule& rule) {
  const auto ones = at::ones_like(layer.weight);
  const auto counts = layer.apply(at::ones_like(layer.x), ones);
  return layer.transpose(relevance / stabilized(counts, rule.epsilon), ones);
}

}  // namespace gradcam
