#include "in_place_view.h"

#include <torch/csrc/autograd/functions/tensor.h>

namespace gradcam {

NodePtr* in_place_on_view(torch::autograd::Node& node) {
  auto* copy = dynamic_cast<torch::autograd::CopySlices*>(&node);
  return copy && copy->fn ? &copy->fn : nullptr;
}

void update_edges_inside(torch::autograd::Node& node) {
  const auto* inner = in_place_on_view(node);
  if (!inner) return;
  auto& edges = (*inner)->next_edges();
  // The first edge leads to the whole; the operator's own leads to the view of it.
  for (size_t i = 1; i < edges.size() && i < node.num_outputs(); ++i) edges[i] = node.next_edge(i);
}

}  // namespace gradcam
