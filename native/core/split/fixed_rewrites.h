#pragma once
#include <torch/csrc/jit/ir/ir.h>

namespace gradcam {

// Puts a cancel check before every convolution and matrix product.
void insert_cancel_checks(torch::jit::Graph& graph);

// Replaces, on the CPU, each batch norm with constant parameters by one pass
// over memory, together with a concatenation before it (a DenseNet's way into each of its layers) and a ReLU behind it,
// and each convolution with constant weights together with a ReLU behind it.
void rewrite_fixed(torch::jit::Graph& graph);

// LibTorch's or the one above.
bool is_batch_norm(const torch::jit::Node* node);

}  // namespace gradcam
