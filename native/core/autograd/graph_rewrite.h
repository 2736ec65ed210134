#pragma once
#include <functional>
#include <vector>

#include "autograd_node.h"

namespace gradcam {

// Looks at a node and says which to put in its place, or none to leave it. A node that is not `replaceable` can be
// looked at only.
using Rewrite = std::function<NodePtr(const NodePtr& node, bool replaceable)>;

// Visits every node behind `ends` once. The nodes that recorded `ends` are not replaceable, because the tensors lead to
// them: their gradients may be asked for, and what is computed from them later records edges to them.
void rewrite_graph(const std::vector<torch::Tensor>& ends, const Rewrite& rewrite);

// Offers each node behind `ends` the one behind it, where it leads to no other and nothing else leads there: `merge`
// may have the first do the work of the second.
using Merge = std::function<void(torch::autograd::Node& node, const NodePtr& below)>;
void merge_nodes(const std::vector<torch::Tensor>& ends, const Merge& merge);

// Whether hooks of somebody else's wait for the node to run.
bool is_watched(torch::autograd::Node& node);

}  // namespace gradcam
