#pragma once
#include <c10/core/ScalarType.h>

#include <string>

namespace gradcam {

// The dtypes that tensors of JavaScript can have go by names such as 'float32' and 'int64', in JavaScript as in
// messages.

// Throws ERR_DTYPE with the names there are.
at::ScalarType parse_dtype(const std::string& name);

// LibTorch's own name where it is another dtype.
std::string dtype_name(at::ScalarType dtype);

}  // namespace gradcam
