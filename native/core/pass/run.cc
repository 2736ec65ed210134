#include "run.h"

#include <torch/csrc/autograd/autograd.h>

#include "core/autograd/gradient_holes.h"
#include "core/base/error.h"
#include "input_graph.h"

namespace gradcam {

namespace {

void require_graph(const Tensor& score) {
  if (score.requires_grad()) return;
  throw Error("ERR_NO_GRADIENT",
              "The score does not depend on what is explained: the model computes it under no_grad, from integers, or "
              "from detached values. Explain an output that is differentiable.");
}

// A gradient that leaves out a branch would look like any other.
void require_whole_gradient(const Tensor& score, const std::vector<Tensor>& differentiated_by) {
  const auto missing = operators_without_gradient(score, differentiated_by);
  if (missing.empty()) return;
  std::string names;
  for (const auto& name : missing) names += (names.empty() ? "" : ", ") + name;
  const bool quantized = names.find("quantized") != std::string::npos || names.find("quantize") != std::string::npos;
  throw Error("ERR_NO_GRADIENT",
              "The score depends on what is explained through " + names +
                  ", which has no derivative, so the gradient would leave that part out.",
              Remedy{quantized ? "Export the model before it is quantized, or use a method that needs no gradient."
                               : "Pick a layer after it, or use a method that needs no gradient."},
              {{"operators", missing}});
}

// H A, as the gradient of <G, A> where A is held constant. Zero where G does not depend on A: there the score is linear
// in A.
Tensor curvature(const Tensor& gradient, const Tensor& activation) {
  if (!gradient.requires_grad()) return at::zeros_like(activation);
  const auto product = torch::autograd::grad({gradient}, {activation}, {activation.detach()}, /*retain_graph=*/true,
                                             /*create_graph=*/false, /*allow_unused=*/true)
                           .front();
  return product.defined() ? product.detach() : at::zeros_like(activation);
}

Explained differentiate_layers(const LayerMaps& goal, const std::vector<Tensor>& activations, const Tensor& score,
                               bool keep_graph) {
  require_graph(score);
  require_whole_gradient(score, activations);
  const bool curved = goal.maps.needs() == Needs::curvature;
  const auto gradients = torch::autograd::grad({score}, activations, {}, keep_graph || curved, /*create_graph=*/curved,
                                               /*allow_unused=*/true);
  Explained explained;
  for (size_t i = 0; i < activations.size(); ++i) {
    if (!gradients[i].defined())
      throw Error("ERR_NO_GRADIENT",
                  "The score does not depend on layer '" + goal.layers[i] + "', so it has no gradient there.",
                  Remedy{"Pick a layer on the way to that output."});
    explained.layers.emplace_back(activations[i].detach(), gradients[i].detach());
    if (curved) explained.layers.back().curvature = curvature(gradients[i], activations[i]);
  }
  return explained;
}

Explained differentiate_input(const Tensor& input, const Tensor& score, bool keep_graph) {
  require_graph(score);
  require_whole_gradient(score, {input});
  const auto gradients = torch::autograd::grad({score}, {input}, {}, keep_graph, /*create_graph=*/false,
                                               /*allow_unused=*/true);
  if (!gradients.front().defined())
    throw Error("ERR_NO_GRADIENT", "The score does not depend on the input, so it has no gradient there.");
  Explained explained;
  explained.input_gradient = gradients.front().detach();
  return explained;
}

void require_captured(const LayerMaps& goal, const Captured& captured) {
  for (size_t i = 0; i < goal.layers.size(); ++i) {
    if (captured.activations[i].defined()) continue;
    const auto calls = captured.calls[i];
    if (goal.call && calls > 0)
      throw Error("ERR_LAYER_NOT_REACHED", "The forward pass called layer '" + goal.layers[i] + "' " +
                                               std::to_string(calls) + (calls == 1 ? " time" : " times") +
                                               ", so there is no call " + std::to_string(*goal.call) +
                                               ", counted from 0.");
    throw Error("ERR_LAYER_NOT_REACHED",
                "The forward pass never called layer '" + goal.layers[i] + "' with this input.",
                Remedy{"Pick a layer on the way to the output."});
  }
}

void require_guided(const GuidedGradient& goal, const Captured& captured) {
  if (captured.intercepted == 0)
    throw Error("ERR_NO_RELU",
                std::string("Guided backprop found no ReLU ") +
                    (goal.scope == ReluScope::modules ? "module in the pass; scope 'all' also sees functional ones."
                                                      : "in the pass, so its result would be the plain gradient.") +
                    " The rule is defined for ReLU alone.");
  if (!captured.unruled_activation.empty())
    throw Error("ERR_ACTIVATION",
                "The pass goes through " + captured.unruled_activation +
                    ", for which guided backprop and deconvnet have no rule: theirs are for ReLU (and "
                    "ReLU6) alone, and the plain gradient instead of a rule would be another method.",
                Remedy{"Use the "
                       "plain gradient, smoothed, or integrated gradients."});
}

}  // namespace

Run::Run(const RunContext& context) : context_(context) {
  captured_.activations.resize(context.plan.layers().size());
  captured_.calls.resize(context.plan.layers().size());
}

void Run::forward(const std::vector<IValue>& inputs, const CancelFlag* cancel) {
  const bool hooked_before = context_.model.hooks().has_hooks();
  capture(inputs, cancel);
  const auto* guided = context_.plan.explains<GuidedGradient>();
  if (guided || context_.plan.explains<InputGradient>())
    rewrite_input_graph(captured_, guided, /*others_hold_parts=*/hooked_before || context_.model.hooks().has_hooks());
}

Explained Run::differentiate(const Tensor& score, bool keep_graph) const {
  if (context_.plan.explains<ScoresOnly>()) return {};
  const auto* layers = context_.plan.explains<LayerMaps>();
  if (layers) require_captured(*layers, captured_);
  if (const auto* guided = context_.plan.explains<GuidedGradient>()) {
    require_graph(score);  // without one there is no ReLU in it, whatever the model has
    require_guided(*guided, captured_);
  }
  if (!context_.plan.needs_gradient()) {
    Explained explained;
    for (const auto& activation : captured_.activations) explained.layers.emplace_back(activation.detach(), Tensor());
    return explained;
  }
  return layers ? differentiate_layers(*layers, captured_.activations, score, keep_graph)
                : differentiate_input(captured_.input, score, keep_graph);
}

std::vector<IValue> Run::copy_inputs(const std::vector<IValue>& inputs) {
  std::vector<IValue> copies;
  for (const auto& input : inputs)
    copies.push_back(map_tensors(input, [](const Tensor& t) { return t.detach().clone(); }));
  if (context_.plan.at_input()) {
    // A leaf of our own: the caller's tensor keeps its requiresGrad and its grad.
    auto& copy = copies.at(context_.plan.input);
    captured_.input = copy.toTensor().to(context_.model.device()).requires_grad_();
    copy = captured_.input.clone();
  }
  return copies;
}

}  // namespace gradcam
