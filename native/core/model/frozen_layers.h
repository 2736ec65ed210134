#pragma once
#include <torch/script.h>

namespace gradcam {

// Gives a frozen module layers again: each convolution, linear layer, normalisation, activation and pooling of its
// `forward` becomes a submodule, with its weights as parameters. Its name is that of the operator, and from the second
// one on its number: conv2d, conv2d_1. The module computes what it did. Returns whether there were any.
bool restore_layers(torch::jit::Module& module);

}  // namespace gradcam
