#pragma once
#include "core/base/ivalues.h"

namespace gradcam {

// Whether two values are the same: numbers, lists of them, and the elements of tensors, none of which have a graph.
bool same_value(const IValue& a, const IValue& b);

}  // namespace gradcam
