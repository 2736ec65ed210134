#pragma once
#include "core/base/ivalues.h"

namespace gradcam {

// Copies of the tensors in an input, on the model's device and without the caller's graph: the model may change its
// inputs in place.
IValue copy_input(const IValue& input, at::Device device, bool channels_last);

// The tensors in an input in channels-last memory, in which convolutions are fastest, or with their layout unchanged.
IValue to_layout(const IValue& input, bool channels_last);

}  // namespace gradcam
