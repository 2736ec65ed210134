#pragma once
#include <torch/csrc/jit/ir/ir.h>

namespace gradcam {

// Puts the code of every fork whose results are waited for in the same graph in the place of the fork, so that it runs
// where it stands. Returns whether a fork is left.
bool inline_forks(torch::jit::Graph& graph);

}  // namespace gradcam
