#pragma once
#include <string>
#include <vector>

namespace gradcam {

// The few names most like `wanted`, nearest first: for the "did you mean" of an error.
std::vector<std::string> nearest_names(const std::string& wanted, const std::vector<std::string>& names,
                                       size_t count = 3);

}  // namespace gradcam
