#pragma once
#include <limits>

#include "core/base/tensor_rounding.h"
#include "method.h"

namespace gradcam {

// [N, C, spatial...] as tables of spatial positions by channels in float64, for decompositions: a Gram matrix squares
// the condition number, which float32 has no room for.
struct Tables {
  explicit Tables(const Tensor& contribution)
      : positions(contribution.flatten(2).transpose(1, 2).to(at::kDouble)),
        finite(positions.flatten(1).isfinite().all(1).view({-1, 1, 1})) {
    positions = positions.masked_fill(finite.logical_not(), 0);
    // A channel that is one number but for rounding says nothing: a map of such ones would be made of rounding errors.
    const auto [least, most] = at::aminmax(positions, 1, /*keepdim=*/true);
    centred = (positions - positions.mean(1, /*keepdim=*/true))
                  .masked_fill(same_within_rounding(least, most, contribution.scalar_type()), 0);
  }

  // [N, positions] as a map like `contribution`, NaN for images that were not finite.
  Tensor map(const Tensor& projection, const Tensor& like) const {
    auto shape = like.sizes().vec();
    shape[1] = 1;
    const auto known =
        projection.unsqueeze(-1).masked_fill(finite.logical_not(), std::numeric_limits<double>::quiet_NaN());
    return known.reshape(shape).to(like.scalar_type());
  }

  Tensor positions, finite, centred;  // [N, positions, C], [N, 1, 1], [N, positions, C]
};

}  // namespace gradcam
