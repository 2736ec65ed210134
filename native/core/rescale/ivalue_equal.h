#pragma once
#include "core/base/ivalues.h"

namespace gradcam {

// Whether two values are equal: numbers, lists of numbers, and tensors outside any graph, element by element.
bool ivalue_equal(const IValue& a, const IValue& b);

}  // namespace gradcam
