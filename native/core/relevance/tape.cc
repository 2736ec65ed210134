#include "tape.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "operators.h"

namespace gradcam {

// Not in an anonymous namespace, see rescale/recorder.cc.
namespace relevance {

struct CallContext : at::ObserverContext {
  RecordedCall call;
};

}  // namespace relevance

namespace {

bool needs_graph(const Tensor& tensor) { return tensor.requires_grad(); }

bool works_in_place(const std::string& name) { return name.back() == '_'; }

bool share_memory(const Tensor& a, const Tensor& b) {
  return a.defined() && b.defined() && a.layout() == at::kStrided && b.layout() == at::kStrided && a.is_alias_of(b);
}

}  // namespace

Tensor RecordedCall::tensor(size_t argument) const {
  return argument < arguments.size() && arguments[argument].isTensor() ? arguments[argument].toTensor() : Tensor();
}

const RecordedCall* RelevanceTape::call_of(const torch::autograd::Node& node) const {
  const auto found = calls_.find(&node);
  return found == calls_.end() ? nullptr : &found->second;
}

void RelevanceTape::clear() {
  calls_.clear();
  nodes_.clear();
}

OperatorCalls::Context RelevanceTape::started(const std::string& name, std::vector<IValue> arguments) {
  const bool in_place = works_in_place(name) && !arguments.empty() && arguments.front().isTensor();
  if (in_place) keep_before_write(arguments.front().toTensor());
  if (!in_graph() || !any_tensor(arguments, needs_graph)) return nullptr;
  auto context = std::make_unique<relevance::CallContext>();
  auto& call = context->call;
  call.name = name;
  call.module = module_;
  if (keeps_values(operator_base_name(name)) == KeptValues::none) return context;
  for (const auto& argument : arguments) {
    const bool written = in_place && call.arguments.empty();
    call.dependent.push_back(any_tensor({argument}, needs_graph));
    call.arguments.push_back(map_tensors(argument, [&](const Tensor& t) {
      if (!t.defined()) return t;
      return written ? t.detach().clone() : t.detach();
    }));
  }
  return context;
}

// The innermost operator ends first: the one that recorded the node.
void RelevanceTape::ended(at::ObserverContext& context, const std::vector<IValue>& results) {
  auto& call = static_cast<relevance::CallContext&>(context).call;
  NodePtr node;
  Tensor first;
  for (const auto& result : results)
    for_each_tensor(result, [&](const Tensor& tensor) {
      if (node || !tensor.defined() || !tensor.requires_grad()) return;
      node = tensor.grad_fn();
      first = tensor;
    });
  if (!node || calls_.count(node.get())) return;
  if (keeps_values(operator_base_name(call.name)) == KeptValues::with_result) call.result = first.detach();
  calls_.emplace(node.get(), std::move(call));
  nodes_.push_back(std::move(node));
}

// What was recorded stays as it was where the model writes over it.
void RelevanceTape::keep_before_write(const Tensor& written) {
  const auto kept = [&](const Tensor& tensor) { return share_memory(tensor, written) ? tensor.clone() : tensor; };
  for (auto& [node, call] : calls_) {
    for (auto& argument : call.arguments)
      if (argument.isTensor()) argument = kept(argument.toTensor());
    call.result = kept(call.result);
  }
}

}  // namespace gradcam
