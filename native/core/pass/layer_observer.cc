#include "layer_observer.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/ivalues.h"
#include "layer_part.h"

namespace gradcam {

namespace {

bool shares_storage(const Tensor& tensor, const Inputs& inputs) {
  bool shares = false;
  for (const auto& input : inputs)
    for_each_tensor(input, [&](const Tensor& t) { shares |= t.defined() && t.is_alias_of(tensor); });
  return shares;
}

// Where a graph starts: nothing is differentiated by what comes before it.
class GraphStart : public torch::autograd::Node {
 public:
  torch::autograd::variable_list apply(torch::autograd::variable_list&&) override { return {}; }
  std::string name() const override { return "GradCamGraphStart"; }
};

// The same tensor, on the same memory, in a graph. Not a leaf, which could not be changed in place.
Tensor start_graph(const Tensor& tensor) {
  if (!tensor.is_floating_point() || tensor.requires_grad()) return tensor;
  auto same = tensor.detach();
  torch::autograd::create_gradient_edge(same, make_node<GraphStart>());
  return same;
}

}  // namespace

LayerObserver::LayerObserver(const RunContext& context, Captured& captured, Filter filter, Kept kept)
    : context_(context), captured_(captured), filter_(std::move(filter)), kept_(std::move(kept)) {}

bool LayerObserver::observes(ModuleId object, const c10::ClassType&) const {
  const auto& layers = context_.layer_objects;
  return std::find(layers.begin(), layers.end(), object) != layers.end();
}

bool LayerObserver::before(ModuleId object, Inputs& inputs) {
  running_.begin(inputs);
  const auto* maps = context_.plan.explains<LayerMaps>();
  if (!maps || !maps->part || !context_.plan.needs_gradient()) return false;
  const auto layer = std::find(context_.layer_objects.begin(), context_.layer_objects.end(), object);
  const auto call = captured_.calls.at(static_cast<size_t>(layer - context_.layer_objects.begin()));
  if (maps->call && *maps->call != call) return false;
  at::GradMode::set_enabled(true);
  for (auto& input : inputs) input = map_tensors(input, start_graph);
  return true;
}

void LayerObserver::after(ModuleId object, const c10::ClassType&, const Inputs& inputs, IValue& output) {
  for (size_t i = 0; i < context_.layer_objects.size(); ++i)  // several paths may name one instance
    if (context_.layer_objects[i] == object) capture(i, inputs, output);
  running_.end();
}

// The value that the layer returned is captured. The model continues with a copy, so that an in-place operator after
// the layer (densenet's ReLU) changes the copy. Where the layer itself returns its input (Identity, an in-place ReLU),
// other parts of the model still use that value: then a copy is captured. Where it changed that input in place, what
// they read is what the layer returned: the model continues with that tensor, under all of its names.
void LayerObserver::capture(size_t layer, const Inputs& inputs, IValue& output) {
  const auto* maps = context_.plan.explains<LayerMaps>();
  const auto part = explained_part(output, maps ? maps->part : std::nullopt, context_.plan.layers()[layer]);
  const auto call = captured_.calls[layer]++;
  if (maps && maps->call && *maps->call != call) return;
  Tensor value = part_at(output, part)->toTensor();
  if (filter_ && !filter_(layer, inputs, value)) return;
  const auto returned = value;
  const bool instead = maps && maps->replaced;
  if (instead) value = replaced(layer, value);
  if (shares_storage(value, inputs)) value = value.clone();
  if (context_.plan.needs_gradient()) {
    at::GradMode::set_enabled(true);  // the graph starts here even where the model runs under no_grad
    if (!value.requires_grad()) value = value.detach().requires_grad_();
  }
  if (kept_) kept_(layer, value);
  if (!returns_changed_input(running_, returned))
    output = with_part_at(output, part, value.clone());
  else if (instead)
    replace_under_all_names(returned, value);
  else
    continue_under_all_names(returned, value);
  captured_.activations[layer] = std::move(value);
}

// What the layer is to return in place of `value`.
Tensor LayerObserver::replaced(size_t layer, const Tensor& value) const {
  const auto& maps = *context_.plan.explains<LayerMaps>();
  const auto& path = maps.layers[layer];
  if (!maps.call && captured_.calls[layer] > 1)
    throw Error("ERR_INVALID_ARGUMENT",
                "The forward pass calls layer '" + path +
                    "' several times, so it must be said at which call its output is replaced (`call`).");
  if (maps.replaced->value.sizes() != value.sizes())
    throw Error("ERR_LAYER_OUTPUT",
                "Layer '" + path + "' returned a tensor of shape " + shape_text(value) + " for the input, and of " +
                    shape_text(maps.replaced->value) + " for the baseline, so that there is no line between them.",
                Remedy{"Pick another layer, or a method that does not compare it with a baseline."});
  return maps.replaced->value;
}

}  // namespace gradcam
