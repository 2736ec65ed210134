#pragma once
#include <torch/types.h>

namespace gradcam {

// True if no other tensor shares the memory, so that it is safe to write in place.
inline bool is_unshared(const torch::Tensor& tensor) {
  return tensor.use_count() == 1 && tensor.storage().use_count() == 1;
}

}  // namespace gradcam
