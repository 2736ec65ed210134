#include "call_inputs.h"

#include <torch/csrc/autograd/variable.h>

#include <algorithm>

namespace gradcam {

void CallInputs::begin(const Inputs& inputs) {
  auto& versions = calls_.emplace_back();
  for (const auto& input : inputs)
    for_each_tensor(input, [&](const Tensor& t) {
      if (t.defined() && !t.is_inference()) versions.emplace_back(t.unsafeGetTensorImpl(), t._version());
    });
}

bool CallInputs::changed(const Tensor& tensor) const {
  if (!tensor.defined() || tensor.is_inference()) return false;
  const auto& versions = calls_.back();
  return std::any_of(versions.begin(), versions.end(), [&](const auto& before) {
    return before.first == tensor.unsafeGetTensorImpl() && before.second != tensor._version();
  });
}

bool returns_changed_input(const CallInputs& calls, const Tensor& returned) {
  return calls.changed(returned) && !returned.is_view();
}

void replace_under_all_names(const Tensor& returned, const Tensor& value) {
  {
    const at::NoGradGuard no_graph;
    returned.copy_(value);
  }
  continue_under_all_names(returned, value);
}

void continue_under_all_names(const Tensor& returned, const Tensor& value) {
  // By a node of its own: operators in place may change `returned`, and not a leaf.
  if (value.requires_grad())
    torch::autograd::impl::set_gradient_edge(returned, torch::autograd::impl::gradient_edge(value.view_as(value)));
}

}  // namespace gradcam
