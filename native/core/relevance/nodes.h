#pragma once
#include "rule.h"

namespace gradcam {

// The name of the node of start_relevance.
inline constexpr const char* kRelevanceStart = "RelevanceStartBackward";

// The same value, where relevance begins: its gradient g becomes the relevance z g, so that a score that is linear in
// it has as much relevance as it is.
Tensor start_relevance(const Tensor& output);

// A node in place of that of a layer: relevance follows a rule. `below`: the node that made its input. `output`: of the
// shape and kind of what it has relevance of.
NodePtr rule_node(WeightedLayer layer, Rule rule, torch::autograd::Edge below, const Tensor& output);

// A node in place of that of a function of one element: relevance passes.
NodePtr pass_node(const NodePtr& activation);

// Has the node of a sum give each of its summands its share, by hooks around its own gradient. `summands`: one for each
// of its edges.
void share_relevance(torch::autograd::Node& sum, std::vector<Tensor> summands, const Tensor& result, double epsilon);

// Of the shape and kind of what a node has the gradient of, without memory of that size.
Tensor like_output(const torch::autograd::Node& node);

}  // namespace gradcam
