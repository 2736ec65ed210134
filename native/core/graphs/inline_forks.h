#pragma once
#include <torch/csrc/jit/ir/ir.h>

namespace gradcam {

// Replaces every fork whose results are waited for in the same graph by its code, so that it runs
// where it stands. Returns whether a fork is left.
bool inline_forks(torch::jit::Graph& graph);

}  // namespace gradcam
