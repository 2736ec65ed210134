#pragma once
#include <functional>
#include <vector>

#include "autograd_node.h"

namespace gradcam {

// Returns the node that replaces a node, or none to keep it. A node that is not `replaceable` can only be inspected.
using Rewrite = std::function<NodePtr(const NodePtr& node, bool replaceable)>;

// Visits every node that `ends` depend on once. The nodes that recorded `ends` themselves are not replaceable, because
// the tensors refer to them: their gradients may be requested, and what is computed from them later records edges to
// them.
void rewrite_graph(const std::vector<torch::Tensor>& ends, const Rewrite& rewrite);

// Calls `merge` with each pair of nodes where the first leads to the second alone and nothing else leads to the second:
// it may fuse the second into the first.
using Merge = std::function<void(torch::autograd::Node& node, const NodePtr& below)>;
void merge_nodes(const std::vector<torch::Tensor>& ends, const Merge& merge);

// Whether the node has hooks that we did not install.
bool is_watched(torch::autograd::Node& node);

}  // namespace gradcam
