#include "rounding.h"

#include <limits>

namespace gradcam {

double rounding_of(at::ScalarType computed) {
  return kRoundings *
         (computed == at::kDouble ? std::numeric_limits<double>::epsilon() : std::numeric_limits<float>::epsilon());
}

torch::Tensor same_within_rounding(const torch::Tensor& least, const torch::Tensor& most, at::ScalarType computed) {
  const auto range = most - least;
  return range.le(at::maximum(most.abs(), least.abs()) * rounding_of(computed)).logical_and(range.isfinite());
}

}  // namespace gradcam
