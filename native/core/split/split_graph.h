#pragma once
#include <torch/csrc/jit/ir/ir.h>
#include <torch/script.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace gradcam {

// A model that cannot be cut at a layer; the text says why. The hooked run serves instead.
struct CannotSplit : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Marks in `module`'s own graph where each layer returns. Throws CannotSplit where a layer is not called exactly once,
// or in a way that no graph shows.
void insert_taps(const torch::jit::Module& module, const std::vector<std::string>& layers);

// Two graphs that, one after the other, compute what the tapped and frozen one does. Both return a tuple.
struct CutGraphs {
  std::shared_ptr<torch::jit::Graph> head;  // inputs of the graph -> (first layer's output, live values ...)
  std::shared_ptr<torch::jit::Graph> tail;  // those -> (output, outputs of the other layers ...)
  std::vector<size_t> tap_layers;           // the layer of each tap, in the order of execution
};
CutGraphs cut_at_first_tap(torch::jit::Graph& graph, size_t layers);

// The whole as a tail, from the inputs: -> (output, outputs of all layers ...). There is no head.
CutGraphs cut_at_input(torch::jit::Graph& graph, size_t layers);

// The whole as a head that returns the output alone, where nothing is looked at on the way. There is no tail.
CutGraphs keep_whole(torch::jit::Graph& graph);

void for_each_node(torch::jit::Block* block, const std::function<void(torch::jit::Node*)>& fn);

}  // namespace gradcam
