#include "torchvision_gradients.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/library.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "autograd_node.h"

namespace gradcam {

namespace ag = torch::autograd;
using torch::Tensor;

namespace {

const char* const kOperators[] = {"roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool", "deform_conv2d"};

std::optional<c10::OperatorHandle> find_operator(const std::string& name) {
  return c10::Dispatcher::singleton().findSchema({"torchvision::" + name, ""});
}

// Calls the operator for the backward. Its arguments are named as those of the forward; besides them it takes the
// gradient, the sizes of the input, and what the forward returned second.
class TorchvisionBackward : public ag::Node {
 public:
  TorchvisionBackward(const c10::OperatorHandle& backward, const c10::FunctionSchema& forward,
                      std::vector<at::IValue> given, at::IValue second)
      : backward_(backward), forward_(forward), given_(std::move(given)), second_(std::move(second)) {}

  ag::variable_list apply(ag::variable_list&& gradients) override {
    if (!gradients.at(0).defined()) return ag::variable_list(num_outputs());
    TORCH_CHECK(!given_.empty(), "the graph of torchvision's operator was freed by an earlier backward pass");
    std::vector<at::IValue> stack;
    for (const auto& argument : backward_.schema().arguments())
      stack.push_back(value_of(argument.name(), gradients[0]));
    backward_.callBoxed(&stack);
    ag::variable_list found;
    for (const auto& value : stack) found.push_back(value.toTensor());
    return found;
  }
  void release_variables() override {
    given_.clear();
    second_ = at::IValue();
  }
  std::string name() const override { return "GradCamTorchvisionBackward"; }

 private:
  at::IValue value_of(const std::string& name, const Tensor& gradient) const {
    if (name == "grad") return gradient.contiguous();
    const char* const sizes[] = {"batch_size", "channels", "height", "width"};
    for (int64_t dim = 0; dim < 4; ++dim)
      if (name == sizes[dim]) return given_[0].toTensor().size(dim);
    const auto index = forward_.argumentIndexWithName(name);
    return index ? given_[static_cast<size_t>(*index)] : second_;
  }

  const c10::OperatorHandle backward_;
  const c10::FunctionSchema& forward_;
  std::vector<at::IValue> given_;
  at::IValue second_;
};

void run_recorded(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  const auto& schema = op.schema();
  const auto count = static_cast<long>(schema.arguments().size());
  std::vector<at::IValue> given(stack->end() - count, stack->end());
  {
    const at::AutoDispatchBelowAutograd below;
    op.redispatchBoxed(keys & c10::after_autograd_keyset, stack);
  }
  const auto backward =
      find_operator("_" + schema.operator_name().name.substr(std::string("torchvision::").size()) + "_backward");
  std::vector<Tensor> differentiated;
  for (const auto& value : given)
    if (value.isTensor() && differentiated.size() < backward->schema().returns().size())
      differentiated.push_back(value.toTensor());
  if (!ag::compute_requires_grad(differentiated)) return;
  const auto results = static_cast<long>(schema.returns().size());
  auto output = (stack->end() - results)->toTensor();
  const NodePtr node =
      make_node<TorchvisionBackward>(*backward, schema, std::move(given), results > 1 ? stack->back() : at::IValue());
  node->set_next_edges(ag::collect_next_edges(differentiated));
  ag::set_history(output, node);
}

bool has_gradient(const c10::OperatorHandle& op) {
  return op.hasKernelForDispatchKey(c10::DispatchKey::Autograd) ||
         op.hasKernelForDispatchKey(c10::DispatchKey::AutogradCPU) ||
         op.hasKernelForDispatchKey(c10::DispatchKey::CompositeImplicitAutograd);
}

}  // namespace

void register_torchvision_gradients() {
  // Never destroyed: LibTorch's registry may outlive whatever is destroyed at the end of the process.
  static auto& library =
      *new torch::Library(torch::Library::IMPL, "torchvision", c10::DispatchKey::Autograd, __FILE__, __LINE__);
  for (const auto* name : kOperators) {
    const auto op = find_operator(name);
    if (!op || has_gradient(*op) || !find_operator("_" + std::string(name) + "_backward")) continue;
    library.impl(name, torch::CppFunction::makeFromBoxedFunction<&run_recorded>());
  }
}

}  // namespace gradcam
