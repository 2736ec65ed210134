#pragma once
#include "core/base/value_parts.h"

namespace gradcam {

// The part of an output at `path`: names for dicts and named tuples, positions for tuples and lists. ERR_TARGET where
// there is none, with the parts that there are.
IValue output_part(const IValue& output, const PartPath& path);

// The same, where that is a tensor; otherwise ERR_TARGET.
Tensor output_tensor(const IValue& output, const PartPath& path);

// The path to the tensor that a class is most likely meant of, where an output has several parts: the one of the name
// "logits", or "out", or the only one of shape [N, C], or the only one. Empty where none is.
PartPath likely_part(const IValue& output);

// Whether a value has a part of that name, or at that position.
bool has_part(const IValue& value, const PartStep& step);

}  // namespace gradcam
