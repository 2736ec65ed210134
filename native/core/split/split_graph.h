#pragma once
#include <torch/csrc/jit/ir/ir.h>
#include <torch/script.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace gradcam {

// A model that cannot be split; the text says why. It runs hooked instead.
struct CannotSplit : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Marks in the graph of `module` where each layer returns. Throws CannotSplit unless the graph calls each layer exactly
// once, not through an interface.
void insert_taps(const torch::jit::Module& module, const std::vector<std::string>& layers);

// Two graphs that together compute the same as the frozen graph that was marked. Both return a tuple.
struct CutGraphs {
  std::shared_ptr<torch::jit::Graph> head;  // inputs of the graph -> (first layer's output, live values ...)
  std::shared_ptr<torch::jit::Graph> tail;  // those -> (output, outputs of the other layers ...)
  std::vector<size_t> tap_layers;           // the layer of each tap, in the order of execution
};
CutGraphs cut_at_first_tap(torch::jit::Graph& graph, size_t layers);

// The whole graph as a tail: inputs -> (output, outputs of all layers ...). There is no head.
CutGraphs cut_at_input(torch::jit::Graph& graph, size_t layers);

// The whole graph, without layers, as a head: inputs -> (output). There is no tail.
CutGraphs keep_whole(torch::jit::Graph& graph);

// Calls `fn` on every node of a block, of nested blocks, and of code that is forked.
void for_each_node(torch::jit::Block* block, const std::function<void(torch::jit::Node*)>& fn);

}  // namespace gradcam
