#pragma once
#include <cstddef>
#include <limits>

namespace gradcam {

constexpr size_t kNoMemoryLimit = std::numeric_limits<size_t>::max();

// What tensors on the CPU hold, in bytes; blocks too small to be kept are not counted.
struct TensorMemory {
  size_t live = 0;       // held by tensors
  size_t idle = 0;       // given back by them, and kept for the next
  size_t most_live = 0;  // the greatest `live` since idle memory was last released
  size_t limit = kNoMemoryLimit;
};

// From now on LibTorch's CPU allocator keeps what large tensors give back, and gives it to the next ones. A model's
// activations are of the same sizes in every run, but malloc returns blocks of that size to the system and asks for
// them anew, and the system clears every page of them: a fifth of a run of densenet121. Of the process's memory nothing
// else is touched. Calls after the first do nothing.
void keep_tensor_memory();

TensorMemory tensor_memory();

// Of `live` and `idle` together, for all that is allocated from now on: what would exceed it gives up idle memory and,
// where that is not enough, throws c10::OutOfMemoryError. Systems that overcommit refuse nothing and kill the process
// instead.
void limit_tensor_memory(size_t bytes);

// Gives idle memory back to the system.
void release_idle_tensor_memory();

}  // namespace gradcam
