#pragma once
#include <torch/csrc/jit/ir/ir.h>

#include <memory>

namespace gradcam {

// In a graph of fixed batch norms and convolutions (rewrite_fixed) that records no autograd graph: has a convolution
// normalise its own input, and add a residual to its own output, where nothing else reads what lies between. A dense
// layer then reads the outputs before it once, and a residual block writes its output once.
void fuse_convolutions(const std::shared_ptr<torch::jit::Graph>& graph);

}  // namespace gradcam
