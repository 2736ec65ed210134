#pragma once
#include <torch/script.h>

#include <cstdint>
#include <vector>

#include "model.h"

namespace gradcam {

// Whether an input of these sizes is [N, H, W, C]: 3 or 4 numbers come last, and no convolution sees the input as it
// is, which would say that its channels come first.
bool has_channels_last(const Model& model, at::IntArrayRef sizes, size_t input);

// The spatial sizes of an input; empty where it has none.
std::vector<int64_t> spatial_size(const Model& model, const std::vector<IValue>& inputs, size_t input);

}  // namespace gradcam
