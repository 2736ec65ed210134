#pragma once
#include <torch/types.h>

namespace gradcam {

// By how much sums of products that are one number differ, relative to the largest, in units of the rounding of their
// type.
constexpr double kRoundings = 32;

// By how much sums of products that are one number differ, relative to the largest: float64's rounding, or float32's.
double rounding_of(at::ScalarType computed);

// Whether the values between these two are one number but for rounding: float64's where they were computed in it, else
// float32's. False for NaN and infinities.
torch::Tensor same_within_rounding(const torch::Tensor& least, const torch::Tensor& most, at::ScalarType computed);

}  // namespace gradcam
