#pragma once
#include <cstddef>
#include <functional>
#include <vector>

#include "core/base/ivalues.h"

namespace gradcam {

// How many images, of equal parts of a batch, a part holds that takes at most the memory of `usual` images of 224x224.
// On a processor with many threads a part is larger; on other devices it is the whole batch.
int64_t images_of_part(const Tensor& batch, int64_t usual);

// Calls `run` for parts of a batch and returns what it returned for all of them, as if it had run once: a run keeps a
// few activations of all its images at the same time, which for a large batch take more memory than the processor's
// caches hold. `images` is the input that image_input() found.
std::vector<IValue> run_in_parts(std::vector<IValue> inputs, size_t images,
                                 const std::function<std::vector<IValue>(std::vector<IValue>)>& run);

}  // namespace gradcam
