#pragma once
#include <optional>

#include "autograd_node.h"
#include "relu_rule.h"

namespace gradcam {

// A node that does in one pass over memory what the node of a ReLU and a rule after it, if any, would do in two, or
// none where `relu` is no such node. It takes the place of `relu`, which leads nowhere afterwards.
NodePtr relu_node(const NodePtr& relu, std::optional<ReluRule> rule);

// Has such a node do the work of the lean batch norm behind it as well, in the same pass over memory, where they are
// such nodes. Nothing else may lead to `below`.
void merge_batch_norm(torch::autograd::Node& relu, const NodePtr& below);

}  // namespace gradcam
