#pragma once
#include <vector>

#include "core/base/ivalues.h"

namespace gradcam {

// The rows of `images` of a tensor, in memory of their own and in the layout that the tensor has.
Tensor rows_of(const Tensor& tensor, int64_t dim, const std::vector<int64_t>& images);

// The inputs of a model for some images, which may come several times. Tensors of `count` rows have one for each image;
// what has not stays as it is. Copies, all of them.
std::vector<IValue> inputs_of(const std::vector<IValue>& inputs, int64_t count, const std::vector<int64_t>& images);

// What a model computed for `count` images and for twice as many (the same ones once more), for some of the images,
// which may come several times. Comparing the two tells which dimension, or which number, counts images. A copy. Throws
// CannotSplit where it tells nothing.
IValue value_of(const IValue& once, const IValue& twice, int64_t count, const std::vector<int64_t>& images);

}  // namespace gradcam
