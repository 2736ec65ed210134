#pragma once
#include "autograd_node.h"

namespace gradcam {

// An in-place operator on a view is recorded as one node, which copies the gradient of the view out of that of the
// whole, and calls the operator's own node, which the graph does not show. This is the operator's node; null where
// `node` is not such a node.
NodePtr* in_place_on_view(torch::autograd::Node& node);

// Has the operator's node lead to the same nodes as `node` does, where it is such a node. The engine requires that.
void update_edges_inside(torch::autograd::Node& node);

}  // namespace gradcam
