#include "input_graph.h"

#include "core/autograd/batch_norm_node.h"
#include "core/autograd/gated_convolution.h"
#include "core/autograd/graph_rewrite.h"
#include "core/autograd/relu_node.h"
#include "core/autograd/stem_node.h"
#include "core/split/split_graph.h"

namespace gradcam {

namespace {

NodePtr faster_node(const NodePtr& node) {
  if (auto faster = relu_node(node, std::nullopt)) return faster;
  if (auto faster = batch_norm_node(node)) return faster;
  return stem_node(node);
}

}  // namespace

void rewrite_input_graph(Captured& captured, const GuidedGradient* guided, bool others_hold_parts) {
  std::vector<Tensor> ends;
  for_each_tensor(captured.output, [&](const Tensor& t) {
    if (t.defined()) ends.push_back(t);
  });
  const bool modules = guided && guided->scope == ReluScope::modules;
  ReluRuler rule(guided ? guided->rule : ReluRule::guided, modules ? &captured.relu_modules : nullptr);
  rewrite_graph(ends, [&](const NodePtr& node, bool replaceable) -> NodePtr {
    if (!is_intact(*node)) throw CannotSplit("an operator in place changes what a convolution read");
    replaceable = replaceable && !others_hold_parts && !is_watched(*node);
    if (guided)
      if (auto ruled = rule(node, replaceable)) return ruled;
    // A rule on a node that could not be replaced is a hook, with which the node must stay.
    if (!replaceable || is_watched(*node)) return {};
    return faster_node(node);
  });
  merge_nodes(ends, merge_batch_norm);
  captured.relu_modules.clear();
  captured.intercepted = rule.count();
  if (guided && guided->scope == ReluScope::all) captured.unruled_activation = rule.other();
}

}  // namespace gradcam
