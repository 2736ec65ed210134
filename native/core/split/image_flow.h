#pragma once
#include <torch/csrc/jit/ir/ir.h>

#include <cstddef>
#include <optional>

namespace gradcam {

// The input of a graph that holds images, where the graph computes each image's values from that image alone: every
// tensor that it returns has the images along its first dimension, as long as the input has four. None where the graph
// calls an operator that is not known to do so.
std::optional<size_t> image_input(const torch::jit::Graph& graph);

// The same of the two graphs of a split model, from the inputs of the head to what the tail returns, which may be
// tuples of such tensors. `head` is null where the tail begins at the inputs.
std::optional<size_t> image_input(const torch::jit::Graph* head, const torch::jit::Graph& tail);

}  // namespace gradcam
