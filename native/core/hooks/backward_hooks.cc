#include "backward_hooks.h"

#include "core/autograd/autograd_node.h"
#include "core/base/error.h"

namespace gradcam {

namespace ag = torch::autograd;

namespace {

class IdentityNode : public ag::Node {
 public:
  using Callback = std::function<Gradients(const Gradients&)>;
  explicit IdentityNode(Callback on_backward) : on_backward_(std::move(on_backward)) {}

  ag::variable_list apply(ag::variable_list&& gradients) override { return on_backward_(gradients); }
  std::string name() const override { return "GradCamModuleBoundary"; }

 private:
  Callback on_backward_;
};

bool is_differentiable(const Tensor& tensor) {
  return tensor.defined() && (tensor.is_floating_point() || tensor.is_complex());
}

// The same values with one identity node after the tensors for which `is_watched` holds.
std::vector<IValue> with_identity(const std::vector<IValue>& values,
                                  const std::function<bool(const Tensor&)>& is_watched,
                                  IdentityNode::Callback on_backward) {
  std::vector<Tensor> watched;
  for (const auto& value : values)
    for_each_tensor(value, [&](const Tensor& t) {
      if (is_watched(t)) watched.push_back(t);
    });
  if (watched.empty()) return values;
  const NodePtr node = make_node<IdentityNode>(std::move(on_backward));
  node->set_next_edges(ag::collect_next_edges(watched));
  std::vector<IValue> result;
  for (const auto& value : values)
    result.push_back(map_tensors(value, [&](const Tensor& t) {
      if (!is_watched(t)) return t;
      auto same = t.detach();  // shares storage and version counter, but is not a view for autograd
      ag::create_gradient_edge(same, node);
      return same;
    }));
  return result;
}

}  // namespace

Gradients BackwardHookCall::Watched::spread(const Gradients& watched) const {
  Gradients all(tensors);
  for (size_t i = 0; i < positions.size() && i < watched.size(); ++i) all[positions[i]] = watched[i];
  return all;
}

Gradients BackwardHookCall::Watched::gather(const Gradients& all) const {
  Gradients watched;
  for (const auto position : positions) watched.push_back(all[position]);
  return watched;
}

std::shared_ptr<BackwardHookCall> BackwardHookCall::start(std::shared_ptr<const InstanceHooks> hooks) {
  auto call = std::make_shared<BackwardHookCall>();
  call->hooks_ = std::move(hooks);
  return call;
}

Inputs BackwardHookCall::watch_inputs(const Inputs& inputs) {
  const auto is_watched = [](const Tensor& t) { return is_differentiable(t) && t.requires_grad(); };
  for (const auto& value : inputs)
    for_each_tensor(value, [&](const Tensor& t) {
      if (is_watched(t)) inputs_.positions.push_back(inputs_.tensors);
      ++inputs_.tensors;
    });
  return with_identity(inputs, is_watched, [call = shared_from_this()](const Gradients& grad_inputs) {
    return call->inputs_.gather(call->call(call->inputs_.spread(grad_inputs), call->grad_outputs_));
  });
}

IValue BackwardHookCall::watch_output(const IValue& output) {
  for_each_tensor(output, [&](const Tensor& t) {
    if (is_differentiable(t)) outputs_.positions.push_back(outputs_.tensors);
    ++outputs_.tensors;
  });
  return with_identity({output}, is_differentiable,
                       [call = shared_from_this()](const Gradients& grad_outputs) {
                         call->grad_outputs_ = call->outputs_.spread(grad_outputs);
                         if (call->inputs_.positions.empty())
                           call->call(Gradients(call->inputs_.tensors), call->grad_outputs_);
                         return grad_outputs;
                       })
      .front();
}

Gradients BackwardHookCall::call(const Gradients& grad_inputs, const Gradients& grad_outputs) const {
  Gradients current = grad_inputs;
  for (const auto& [id, hook] : hooks_->backward) {
    auto replaced = hook(current, grad_outputs);
    if (!replaced) continue;
    if (inputs_.positions.empty())
      throw Error("ERR_HOOK_RESULT", "A full backward hook returned gradients for inputs that do not require one.",
                  Remedy{"Return undefined, or set "
                         "requiresGrad on the model's input."});
    if (replaced->size() != current.size())
      throw Error("ERR_HOOK_RESULT",
                  "A full backward hook returned " + std::to_string(replaced->size()) +
                      " gradients where the module has " + std::to_string(current.size()) + " input tensors.",
                  Remedy{"Return one for each, or undefined."});
    current = std::move(*replaced);
  }
  return current;
}

}  // namespace gradcam
