#pragma once
#include <ATen/core/ivalue.h>
#include <torch/csrc/jit/ir/ir.h>

#include <cstdint>
#include <optional>
#include <string>

namespace gradcam {

// The convolution that sees a model's input.
struct FirstConvolution {
  int64_t channels;    // of its input
  int64_t dimensions;  // spatial ones: 2 for images
  std::string layer;   // the path of the module that calls it; empty for the model itself
};

// Nothing where the first convolution in the code sees something else than the input with its channels as they are,
// e.g. a part of it, or what another layer made of it. `self`: see find_state_writes.
std::optional<FirstConvolution> find_first_convolution(torch::jit::Graph& graph, const c10::ivalue::Object* self);

}  // namespace gradcam
