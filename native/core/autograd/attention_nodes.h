#pragma once
#include <torch/types.h>

#include <vector>

namespace gradcam {

// The attention matrices that `end` was computed from, in the order in which they were: what each softmax over the last
// dimension returned that is [images or windows, heads, T, T]. They carry the graph, so that they can be differentiated
// by. Fused kernels keep none: see AttentionByFormula.
std::vector<torch::Tensor> attention_matrices(const torch::Tensor& end);

}  // namespace gradcam
