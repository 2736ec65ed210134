#pragma once
#include <torch/csrc/jit/ir/ir.h>

namespace gradcam {

// Changes a frozen graph such that it runs with channels last and returns the bits that it would return on contiguous
// memory: convolutions become equal ones (EqualConvolution), and operators whose rounding depends on the layout take
// contiguous memory. ReLUs of modules are marked: see ReluNotes.
//
// Throws CannotSplit for a graph with an operator of which that is not known, and for one where most convolutions are
// LibTorch's, which would copy their input and output.
void rewrite_equally(torch::jit::Graph& graph);

// Throws CannotSplit for an operator of which that is not known.
void refuse_unequal(const torch::jit::Node* node);

}  // namespace gradcam
