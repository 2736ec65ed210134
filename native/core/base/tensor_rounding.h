#pragma once
#include <torch/types.h>

#include <limits>

#include "core/base/rounding.h"

namespace gradcam {

// By how much sums of products that are one number differ, relative to the largest: float64's rounding, or float32's.
inline double rounding_of(at::ScalarType computed) {
  return kRoundings *
         (computed == at::kDouble ? std::numeric_limits<double>::epsilon() : std::numeric_limits<float>::epsilon());
}

// Whether the values between these two are one number but for rounding: float64's where they were computed in it, else
// float32's. False for NaN and infinities.
inline torch::Tensor same_within_rounding(const torch::Tensor& least, const torch::Tensor& most,
                                          at::ScalarType computed) {
  const auto range = most - least;
  return range.le(at::maximum(most.abs(), least.abs()) * rounding_of(computed)).logical_and(range.isfinite());
}

}  // namespace gradcam
