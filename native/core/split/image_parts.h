#pragma once
#include <torch/csrc/jit/ir/ir.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include "core/base/ivalues.h"

namespace gradcam {

// The input of a graph that holds images, where the graph computes each image's values from that image alone: every
// tensor that it returns has the images along its first dimension, as long as the input has four. None where the graph
// calls an operator that is not known to do so.
std::optional<size_t> image_input(const torch::jit::Graph& graph);

// Calls `run` for parts of a batch and returns what it returned for all of them, as if it had run once: a run keeps a
// few activations of all its images at the same time, which for a large batch take more memory than the processor's
// caches hold. `images` is the input that image_input() found.
std::vector<IValue> run_in_parts(std::vector<IValue> inputs, size_t images,
                                 const std::function<std::vector<IValue>(std::vector<IValue>)>& run);

}  // namespace gradcam
