#pragma once
#include <torch/types.h>

namespace gradcam {

// Nobody else would see a change of it: neither through this tensor nor through another on the same memory.
inline bool is_own(const torch::Tensor& tensor) { return tensor.use_count() == 1 && tensor.storage().use_count() == 1; }

}  // namespace gradcam
