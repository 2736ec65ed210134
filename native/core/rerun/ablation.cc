#include "ablation.h"

#include "repeat.h"

namespace gradcam {

Tensor nonzero_channels(const Tensor& activation, const LayerDims& dims) {
  return activation.movedim({dims.images, dims.channels}, {0, 1}).flatten(2).ne(0).any(-1);
}

Tensor ablate(const Tensor& activation, const LayerDims& dims, const Copies& copies) {
  auto copied = rows_of(activation, dims.images, images_of(copies));
  const auto table = copied.movedim({dims.images, dims.channels}, {0, 1});
  for (size_t i = 0; i < copies.size(); ++i)
    if (copies[i].channel != Copy::kNone) table.select(0, static_cast<int64_t>(i)).select(0, copies[i].channel).zero_();
  return copied;
}

}  // namespace gradcam
