#include "principal.h"
#include "table.h"

namespace gradcam {

namespace {

// X v by the eigenvectors of the smaller Gram matrix: X^T X has v itself; X X^T has u, and X v = u times the singular
// value.
Tensor first_projection(const Tensor& x) {
  const bool by_channels = x.size(2) <= x.size(1);
  const auto transposed = x.transpose(1, 2);
  const auto [values, vectors] = at::linalg_eigh(by_channels ? at::bmm(transposed, x) : at::bmm(x, transposed));
  const auto first = vectors.select(2, vectors.size(2) - 1).unsqueeze(-1);  // eigenvalues ascend
  if (by_channels) return at::bmm(x, first).squeeze(-1);
  return first.squeeze(-1) * values.select(1, values.size(1) - 1).clamp_min(0).sqrt().unsqueeze(-1);
}

// `side`: [N, 1], below zero where the projection, [N, positions], has to be turned.
template <typename Side>
Tensor principal(const Tensor& contribution, Side side) {
  const Tables tables(contribution);
  const auto projection = first_projection(tables.centred);
  const auto turned = side(projection, tables.positions).lt(0);
  return tables.map(at::where(turned, -projection, projection), contribution);
}

// The projection sums to zero over the positions, so the guide need not be centred.
Tensor agreement(const Tensor& projection, const Tensor& guide) {
  return (projection * guide).sum(1, /*keepdim=*/true);
}

}  // namespace

// Eigen-CAM: map = max(X v, 0), with X the activation and v its first principal direction. It does not depend on the
// target. Muhammad and Yeasin 2020, "Eigen-CAM: Class Activation Map using Principal Components", arXiv:2008.00299,
// section III. pytorch-grad-cam centres X per channel, which the paper does not mention; so do we. EigenGrad-CAM, of
// pytorch-grad-cam alone, is the same with X = G * A.
Tensor eigen_cam(const LayerEvidence& e) { return e.activation; }

Tensor principal_of_strength(const Tensor& contribution) {
  return principal(contribution, [](const Tensor& projection, const Tensor& positions) {
    return agreement(projection, positions.abs().sum(-1));
  });
}

Tensor principal_of_evidence(const Tensor& contribution) {
  return principal(contribution, [](const Tensor& projection, const Tensor& positions) {
    return agreement(projection, positions.sum(-1));
  });
}

Tensor principal_of_largest(const Tensor& contribution) {
  return principal(contribution, [](const Tensor& projection, const Tensor&) {
    return projection.amax(1, /*keepdim=*/true) + projection.amin(1, /*keepdim=*/true);
  });
}

}  // namespace gradcam
