#pragma once
#include <torch/csrc/jit/ir/ir.h>

namespace gradcam {

// Inserts a check for cancellation before every convolution and matrix product.
void insert_cancel_checks(torch::jit::Graph& graph);

// Replaces operators on the CPU by fused ones whose parameters are constants: each batch norm, together with a
// concatenation before it (the input of a DenseNet's layers) and a ReLU after it, and each convolution, together with a
// ReLU after it.
void rewrite_fixed(torch::jit::Graph& graph);

// LibTorch's batch norm or the fused one.
bool is_batch_norm(const torch::jit::Node* node);

}  // namespace gradcam
