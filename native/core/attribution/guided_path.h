#pragma once
#include <torch/script.h>

namespace gradcam {

// Where the paths of guided integrated gradients are bounded.
struct GuidedPathBounds {
  double fraction;      // the share of the elements that go on at a time
  double max_distance;  // how far an element may be from the straight line, as a share of it
};

// Where the paths of a batch are, and what their elements were attributed so far: [N, ...] each.
struct GuidedPaths {
  torch::Tensor at, attribution;
};

// One step of guided integrated gradients: of each image, the elements with the least gradients go on until its L1
// distance to the input is 1 - `share` of that of the baseline. What they are attributed is how far they went times the
// gradient. Kapishnikov et al. 2021, arXiv:2106.09788, algorithm 1, with the bounds of section 4.3.
//
// `baseline`, `input` and `gradient` have the shape of `paths`; everything is float64, contiguous and on the CPU.
// Elements whose gradient is not a number stay where they are, but for those that the bound moves.
GuidedPaths guided_step(const GuidedPaths& paths, const torch::Tensor& gradient, const torch::Tensor& input,
                        const torch::Tensor& baseline, double share, const GuidedPathBounds& bounds);

}  // namespace gradcam
