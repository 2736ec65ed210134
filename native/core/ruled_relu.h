#pragma once
#include "autograd_node.h"
#include "relu_rule.h"

namespace gradcam {

// A node that does in one pass over memory what the node of a ReLU and a rule after it would do in two, or none where
// `relu` is no such node. It takes the place of `relu`, which leads nowhere afterwards.
NodePtr ruled_relu(const NodePtr& relu, ReluRule rule);

}  // namespace gradcam
