#pragma once
#include <string>
#include <variant>
#include <vector>

#include "ivalues.h"

namespace gradcam {

// The tensor of an output that `path` leads to: names for dicts and named tuples, positions for tuples and lists.
// ERR_TARGET where it leads to none, with what there is.
Tensor output_tensor(const IValue& output, const std::vector<std::variant<std::string, int64_t>>& path);

}  // namespace gradcam
