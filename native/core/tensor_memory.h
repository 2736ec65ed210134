#pragma once
#include <cstddef>

namespace gradcam {

// What tensors on the CPU hold, in bytes; blocks too small to be kept are not counted.
struct TensorMemory {
  size_t live = 0;       // held by tensors
  size_t idle = 0;       // given back by them, and kept for the next
  size_t most_live = 0;  // the greatest `live` since idle memory was last released
};

// From now on LibTorch's CPU allocator keeps what large tensors give back, and gives it to the next ones. A model's
// activations are of the same sizes in every run, but malloc returns blocks of that size to the system and asks for them
// anew, and the system clears every page of them: a fifth of a run of densenet121. Of the process's memory nothing else is
// touched. Calls after the first do nothing.
void keep_tensor_memory();

TensorMemory tensor_memory();

// Gives idle memory back to the system.
void release_idle_tensor_memory();

}  // namespace gradcam
