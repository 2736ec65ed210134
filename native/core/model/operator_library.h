#pragma once
#include <string>

namespace gradcam {

// Loads a shared library that registers operators with LibTorch, as torch.ops.load_library does, for as long as the
// process lives. Its code runs. Throws an Error: ERR_FILE_NOT_FOUND, ERR_MODEL_OPERATOR with the system's own words.
void load_operator_library(const std::string& path);

}  // namespace gradcam
