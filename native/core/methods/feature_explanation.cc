#include "method.h"

namespace gradcam {

// FEM, the Feature Explanation Method: w_k = the share of spatial positions where A_k > mean(A_k) + 2 std(A_k), over
// space, with the population's std; map = max(sum_k w_k A_k, 0). It does not depend on the target. Fuad et al. 2020,
// "Features Understanding in 3D CNNs for Actions Recognition in Video", IPTA, section III.B.
Tensor feature_explanation(const LayerEvidence& e) {
  const auto positions = e.activation.flatten(2);
  const auto threshold = positions.mean(-1, true) + 2 * positions.std(-1, /*unbiased=*/false, /*keepdim=*/true);
  return e.activation * over_space(positions.gt(threshold).to(e.activation.scalar_type()).mean(-1), e.activation);
}

}  // namespace gradcam
