#pragma once
#include <ATen/core/ivalue.h>
#include <torch/csrc/jit/ir/ir.h>

#include <string>
#include <vector>

namespace gradcam {

// What a run of a graph changes that outlives it.
struct StateWrites {
  std::vector<std::string> attributes;  // paths of buffers, parameters and other attributes: "norm.running_mean"
  std::vector<at::Tensor> constants;    // of the code
  std::vector<std::string> operators;   // that write them, in the order of the code

  bool empty() const { return attributes.empty() && constants.empty(); }
  // The first of them, for messages: "its attribute 'count' (aten::add_)".
  std::string text() const;
};

// `self`: the module whose method the graph is, to know which branches its attributes decide; may be null.
StateWrites find_state_writes(torch::jit::Graph& graph, const c10::ivalue::Object* self);

}  // namespace gradcam
