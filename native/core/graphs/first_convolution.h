#pragma once
#include <ATen/core/ivalue.h>
#include <torch/csrc/jit/ir/ir.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace gradcam {

// The convolution that sees an input of a model.
struct FirstConvolution {
  int64_t channels;    // of its input
  int64_t dimensions;  // spatial ones: 2 for images
  std::string layer;   // the path of the module that calls it; empty for the model itself
};

// By input of the model: the first convolution that sees it with its channels as they are. Of a model of one input it
// is the first one in the code: nothing where that sees something else, e.g. a part of the input, or what another layer
// made of it. `self`: see find_state_writes.
std::vector<std::optional<FirstConvolution>> find_first_convolutions(torch::jit::Graph& graph,
                                                                     const c10::ivalue::Object* self);

// By input of the model: whether its code looks up rows of a table by it (an embedding), so that it holds whole
// numbers.
std::vector<bool> find_index_inputs(torch::jit::Graph& graph, const c10::ivalue::Object* self);

}  // namespace gradcam
