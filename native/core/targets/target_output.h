#pragma once
#include <string>
#include <variant>
#include <vector>

#include "core/base/ivalues.h"

namespace gradcam {

// What `path` leads to in an output: names for dicts and named tuples, positions for tuples and lists. ERR_TARGET where
// it leads to nothing, with what there is.
IValue output_part(const IValue& output, const std::vector<std::variant<std::string, int64_t>>& path);

// The same, where that is a tensor; otherwise ERR_TARGET.
Tensor output_tensor(const IValue& output, const std::vector<std::variant<std::string, int64_t>>& path);

// Whether a value has a part of that name, or at that position.
bool has_part(const IValue& value, const std::variant<std::string, int64_t>& step);

}  // namespace gradcam
