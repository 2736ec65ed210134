#pragma once
#include <optional>

#include "autograd_node.h"
#include "relu_rule.h"

namespace gradcam {

// A fused node for the node of a ReLU: it applies the ReLU's gradient and a rule, if any, in one pass over memory. None
// where `relu` is not the node of a ReLU. It replaces `relu`, which has no next edges afterwards.
NodePtr relu_node(const NodePtr& relu, std::optional<ReluRule> rule);

// relu(input), or in place. Where it records a graph of dense float32 on the CPU, its gradient keeps a byte for each
// element (see relu_with_mask) and not the result, which takes four; otherwise it is LibTorch's.
Tensor masked_relu(const Tensor& input, bool in_place, bool of_module);

// Fuses the batch norm node `below` into a fused ReLU node, where they are such nodes. Nothing else may lead to
// `below`.
void merge_batch_norm(torch::autograd::Node& relu, const NodePtr& below);

}  // namespace gradcam
