#include "layer_observer.h"

#include <algorithm>

#include "core/base/error.h"

namespace gradcam {

namespace {

bool shares_storage(const Tensor& tensor, const Inputs& inputs) {
  bool shares = false;
  for (const auto& input : inputs)
    for_each_tensor(input, [&](const Tensor& t) { shares |= t.defined() && t.is_alias_of(tensor); });
  return shares;
}

}  // namespace

LayerObserver::LayerObserver(const RunContext& context, Captured& captured, Filter filter)
    : context_(context), captured_(captured), filter_(std::move(filter)) {}

bool LayerObserver::observes(ModuleId object, const c10::ClassType&) const {
  const auto& layers = context_.layer_objects;
  return std::find(layers.begin(), layers.end(), object) != layers.end();
}

void LayerObserver::after(ModuleId object, const c10::ClassType&, const Inputs& inputs, IValue& output) {
  for (size_t i = 0; i < context_.layer_objects.size(); ++i)  // several paths may name one instance
    if (context_.layer_objects[i] == object) capture(i, inputs, output);
}

// The value that the layer returned is captured. The model continues with a copy, so that an in-place operator after
// the layer (densenet's ReLU) changes the copy. Where the layer itself returns its input (Identity, an in-place ReLU),
// other parts of the model still use that value: then a copy is captured.
void LayerObserver::capture(size_t layer, const Inputs& inputs, IValue& output) {
  if (!output.isTensor() || !output.toTensor().is_floating_point())
    throw Error("ERR_LAYER_OUTPUT",
                "Layer '" + context_.plan.layers()[layer] + "' returned " +
                    (output.isTensor() ? "a tensor of integers" : "a " + output.tagKind()) +
                    ", not one floating-point tensor.",
                Remedy{"Pick a layer inside or after it."});
  Tensor value = output.toTensor();
  if (filter_ && !filter_(layer, inputs, value)) return;
  if (shares_storage(value, inputs)) value = value.clone();
  if (context_.plan.needs_gradient()) {
    at::GradMode::set_enabled(true);  // the graph starts here even where the model runs under no_grad
    if (!value.requires_grad()) value = value.detach().requires_grad_();
  }
  output = value.clone();
  captured_.activations[layer] = std::move(value);
  ++captured_.calls[layer];
}

}  // namespace gradcam
