#pragma once
#include <torch/csrc/jit/ir/ir.h>

#include <optional>
#include <vector>

namespace gradcam {

// Inserts a check for cancellation before every convolution and matrix product.
void insert_cancel_checks(torch::jit::Graph& graph);

// Replaces operators on the CPU by fused ones whose parameters are constants: each batch norm, together with a
// concatenation before it (the input of a DenseNet's layers) and a ReLU after it, and each convolution, together with a
// ReLU after it.
void rewrite_fixed(torch::jit::Graph& graph);

// Replaces each convolution on the CPU whose output only a batch norm with constants for statistics reads by one that
// the batch norm's factors belong to, with the model's own weight. LibTorch's fold makes other weights, which take the
// memory of the model's once more.
void fold_batch_norms(torch::jit::Graph& graph);

// The ReLU that is the only user of the output of `node`, or null.
torch::jit::Node* relu_after(const torch::jit::Node* node);

// Whether it is a ReLU of LibTorch, in place or not.
bool is_relu(const torch::jit::Node* node);

// Whether it is a convolution of LibTorch: of two dimensions, or of any in a trace.
bool is_convolution(const torch::jit::Node* node);

// The inputs of a two-dimensional convolution in the order of conv2d, all but the first of which are constants; none
// for any other convolution.
std::optional<std::vector<torch::jit::Value*>> constant_convolution_inputs(torch::jit::Node* convolution);

// The only node that reads the value, or null. It leaves out what may as well read what a convolution, a batch norm or
// a ReLU makes of the value: its number of dimensions, as the check in BatchNorm2d does. The end of a block reads what
// the block returns.
torch::jit::Node* only_reader(const torch::jit::Value* value);

// The concatenation of channels that only the batch norm reads, or null.
torch::jit::Node* cat_before(const torch::jit::Node* batch_norm);

// A float32 tensor on the CPU that is a constant of the graph.
std::optional<at::Tensor> float_constant(const torch::jit::Value* value);

// Replaces `node`, and the ReLU after it if there is one, by `fused`.
void replace_by(torch::jit::Value* fused, torch::jit::Node* node, torch::jit::Node* relu);

// Whether it is a parameter of a batch norm: these take float32 with inputs of any type.
bool is_of_batch_norm(const torch::jit::Use& use);

}  // namespace gradcam
