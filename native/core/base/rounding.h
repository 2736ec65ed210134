#pragma once

namespace gradcam {

// By how much sums of products that are one number differ, relative to the largest, in units of the rounding of their
// type.
constexpr double kRoundings = 32;

}  // namespace gradcam
