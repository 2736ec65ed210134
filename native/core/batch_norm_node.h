#pragma once
#include "autograd_node.h"

namespace gradcam {

// For the node of a batch norm with fixed statistics, on the CPU in float32: one that makes the same gradient at its input,
// bit for bit, and nothing else. LibTorch's own reads the input as well, for sums that such a gradient does not have. None
// for any other node.
NodePtr batch_norm_node(const NodePtr& node);

}  // namespace gradcam
