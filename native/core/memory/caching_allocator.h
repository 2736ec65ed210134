#pragma once
#include <cstddef>
#include <limits>

namespace gradcam {

// A cache in front of LibTorch's CPU allocator: what large tensors give back is kept for the next ones.
//
// Why: a model's activations have the same sizes in every run, but malloc returns large blocks to the system and
// requests them again, and the system clears every page of them: up to a fifth of a run of densenet121. With
// glibc 2.36, one image and one thread, Grad-CAM of it takes 1,600 page faults in each run without the cache, guided
// backprop 2,800, about 4 ms of system time; with the cache a few. The cache also makes a limit possible, and the
// counts of tensorMemory().
//
// What was tried or considered instead:
// - mallopt (M_MMAP_THRESHOLD 32 MiB, the most that glibc accepts, and M_TRIM_THRESHOLD 512 MiB) saves the same page
//   faults, for blocks up to that size. But it changes malloc for all code of the process, Node's
//   included, exists in glibc alone, and knows no limit and no count of what tensors hold.
// - Another malloc, such as jemalloc, has to be preloaded for the process: a package cannot bring it along.
// - c10::CPUCachingAllocator (c10/mobile) never frees a block by itself, has no limit, and reuses a block only for
//   exactly the same size: batches of changing sizes pile up.
//
// LibTorch has one CPU allocator for the process, which is replaced. But the cache serves only threads inside a
// CachedMemory scope, which are the addon's own. On every other thread, such as those of a host program that uses
// LibTorch itself, the allocator that was there before makes and frees the blocks. With GRADCAM_ALLOCATOR=libtorch in
// the environment, LibTorch's allocator is not replaced at all.

constexpr size_t kNoMemoryLimit = std::numeric_limits<size_t>::max();

// What tensors from the cache hold, in bytes; blocks too small to be kept are not counted.
struct TensorMemory {
  size_t live = 0;       // held by tensors
  size_t idle = 0;       // given back by them, and kept for the next
  size_t most_live = 0;  // the greatest `live` since idle memory was last released
  size_t limit = kNoMemoryLimit;
};

// Replaces LibTorch's CPU allocator, unless the environment says not to. Calls after the first do nothing.
void install_caching_allocator();

// While it lives, what this thread allocates comes from the cache.
class CachedMemory {
 public:
  CachedMemory();
  ~CachedMemory();
  CachedMemory(const CachedMemory&) = delete;
  CachedMemory& operator=(const CachedMemory&) = delete;
};

TensorMemory tensor_memory();

// Of `live` and `idle` together, for all that the cache allocates from now on: what would exceed it gives up idle
// memory and, where that is not enough, throws c10::OutOfMemoryError. Systems that overcommit refuse nothing and kill
// the process instead. Throws an Error where the cache was not installed.
void limit_tensor_memory(size_t bytes);

// Gives idle memory back to the system.
void release_idle_tensor_memory();

}  // namespace gradcam
