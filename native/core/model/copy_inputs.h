#pragma once
#include "core/base/ivalues.h"

namespace gradcam {

// A copy off the caller's graph, on the model's device: the model may change its inputs in place.
IValue own_input(const IValue& input, at::Device device, bool channels_last);

// In the layout that convolutions are fastest in, or as it is.
IValue in_layout(const IValue& input, bool channels_last);

}  // namespace gradcam
