#pragma once
#include <vector>

#include "core/base/ivalues.h"

namespace gradcam {

// A copy of the rows of `images` of a tensor, in the tensor's memory layout.
Tensor rows_of(const Tensor& tensor, int64_t dim, const std::vector<int64_t>& images);

// Copies of a model's inputs for some images, which may be repeated. Tensors of `count` rows have one row per image;
// other values are copied as they are.
std::vector<IValue> inputs_of(const std::vector<IValue>& inputs, int64_t count, const std::vector<int64_t>& images);

// A copy of an intermediate value for some of the images, which may be repeated. `once` is the value that a model
// computed for `count` images, `twice` the one for the same images two times. Comparing them tells which dimension is
// the batch, or which number counts images. Throws CannotSplit where that is ambiguous.
IValue value_of(const IValue& once, const IValue& twice, int64_t count, const std::vector<int64_t>& images);

}  // namespace gradcam
