#pragma once
#include <c10/util/FunctionRef.h>

#include <cstdint>

namespace gradcam {

// `work(begin, end)` for parts of [begin, end) of at least `grain`, on LibTorch's own intra-op threads.
// at::parallel_for is compiled into the caller: in code that is not compiled with the OpenMP that LibTorch has, it runs
// on one thread, silently, and with another OpenMP it has threads of its own, which get in the way of LibTorch's.
void parallel_for(int64_t begin, int64_t end, int64_t grain, c10::function_ref<void(int64_t, int64_t)> work);

}  // namespace gradcam
