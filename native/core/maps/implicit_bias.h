#pragma once
#include "core/hooks/hook_registry.h"

namespace gradcam {

// What a Conv2d or BatchNorm2d in eval mode adds to each channel independently of its input, [C] in float64: the bias,
// and for a batch norm beta - mean * gamma / sqrt(var + eps). Undefined where it has no bias.
Tensor implicit_bias(ModuleId object, const Inputs& inputs, const Tensor& output);

}  // namespace gradcam
