#pragma once
#include <torch/types.h>

#include <cstdint>

#include "core/base/cancel.h"

namespace gradcam {

// X, about W H, with all of them at least zero.
struct NonnegativeFactors {
  torch::Tensor w;     // [rows, factors]
  torch::Tensor h;     // [factors, columns]
  int64_t rounds = 0;  // how many it took
};

// The factors of x [rows, columns] in float64 that make the sum of (X - W H)^2 least from where they begin: coordinate
// descent, one column of W or row of H after the other. Cichocki and Phan 2009, "Fast local algorithms for large scale
// nonnegative matrix and tensor factorizations", doi:10.1587/transfun.E92.A.708. It ends after 200 rounds, or where the
// sum of the projected gradients is 1e-4 of that of the first round, as scikit-learn's NMF does.
//
// They begin at the singular vectors of x, and the zeros among these at its mean, so that nothing is random: Boutsidis
// and Gallopoulos 2008, "SVD based initialization: A head start for nonnegative matrix factorization",
// doi:10.1016/j.patcog.2007.09.010, NNDSVDa.
//
// `factors` is at most the smaller side of x.
NonnegativeFactors nonnegative_factors(const torch::Tensor& x, int64_t factors, const CancelFlag* cancel);

}  // namespace gradcam
