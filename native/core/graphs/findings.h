#pragma once
#include <ATen/core/ivalue.h>
#include <torch/csrc/jit/ir/ir.h>

#include <string>
#include <vector>

namespace gradcam {

// Something in a model's code that makes its explanations depend on more than the image.
struct Finding {
  enum class Kind {
    random,            // an operator that draws random numbers: two runs differ
    batch_statistics,  // a normalisation by the statistics of the batch, which was exported in training mode or keeps
                       // none
  };
  Kind kind;
  std::string op;     // "aten::dropout"
  std::string layer;  // the path of the module that calls it; empty for the model itself
};

// Every layer and operator once, in the order of the code.
// `self`: see find_state_writes.
std::vector<Finding> find_findings(torch::jit::Graph& graph, const c10::ivalue::Object* self);

// The devices that the code names, other than the CPU: "cuda:0". A trace keeps those that it was made on.
std::vector<std::string> find_named_devices(torch::jit::Graph& graph, const c10::ivalue::Object* self);

// What turns the last layer's values into the output, where that is one tensor.
enum class Ending { other, softmax, log_softmax, sigmoid };
Ending find_ending(torch::jit::Graph& graph, const c10::ivalue::Object* self);

}  // namespace gradcam
