#include "run.h"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "core/autograd/gradient_holes.h"
#include "core/base/error.h"
#include "input_graph.h"

namespace gradcam {

namespace {

// The graph begins at what is explained: a score without a gradient has no way to it. `what` says it: "layer 'a'".
void require_graph(const Tensor& score, const IValue& output, const std::string& what) {
  if (score.requires_grad()) return;
  bool other_part = false;
  for_each_tensor(output, [&](const Tensor& t) { other_part |= t.defined() && t.requires_grad(); });
  if (other_part)
    throw Error("ERR_NO_GRADIENT", "The score does not depend on " + what + "; another part of the output does.",
                Remedy{"Pick a layer on the way to what is explained, or explain another part of the output (`of`)."});
  throw Error("ERR_NO_GRADIENT",
              "The score does not depend on " + what +
                  " by a gradient, nor does any other part of the output: the model computes it without that, under "
                  "no_grad, from integers, or from detached values.",
              Remedy{"Explain an output that is differentiable, or use a method that needs no gradient."});
}

std::string named(const std::vector<std::string>& layers) {
  std::string text = layers.size() == 1 ? "layer" : "layers";
  for (const auto& layer : layers) text += (text.back() == '\'' ? ", '" : " '") + layer + "'";
  return text;
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
                               : "Pick a layer after it, or use a method that needs no gradient. If the model was "
                                 "exported under torch.no_grad(), or with parameters that require no gradient, export "
                                 "it with gradients: LibTorch then records operators that have derivatives."},
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

// LibTorch names the operator, e.g. "derivative for aten::mkldnn_rnn_layer_backward is not implemented".
[[noreturn]] void throw_no_second_derivative(const std::exception& cause) {
  const auto name = operator_named_in(concise_message(cause));
  throw Error(
      "ERR_NO_GRADIENT",
      "Shapley-CAM needs a second derivative of the score, which " + name + " does not have: " + concise_message(cause),
      Remedy{"Use a method that needs the first derivative alone, such as Grad-CAM."}, {{"operators", name}});
}

std::vector<Tensor> curvatures(const std::vector<Tensor>& gradients, const std::vector<Tensor>& activations) {
  std::vector<Tensor> found;
  try {
    for (size_t i = 0; i < activations.size(); ++i) found.push_back(curvature(gradients[i], activations[i]));
  } catch (const std::exception& e) {
    if (std::string(e.what()).find("not implemented") == std::string::npos) throw;
    throw_no_second_derivative(e);
  }
  return found;
}

std::vector<Tensor> gradients_at_layers(const LayerMaps& goal, const Captured& captured, const Tensor& score,
                                        bool keep_graph, bool curved) {
  const auto& activations = captured.activations;
  require_graph(score, captured.output, named(goal.layers));
  require_whole_gradient(score, activations);
  auto gradients = torch::autograd::grad({score}, activations, {}, keep_graph || curved, /*create_graph=*/curved,
                                         /*allow_unused=*/true);
  for (size_t i = 0; i < activations.size(); ++i)
    if (!gradients[i].defined())
      throw Error("ERR_NO_GRADIENT",
                  "The score does not depend on layer '" + goal.layers[i] + "', so it has no gradient there.",
                  Remedy{"Pick a layer on the way to that output."});
  return gradients;
}

// What `compute` throws, where a method that needs less can do without; otherwise it is thrown.
template <typename Compute>
std::exception_ptr failure_of(const LayerMaps& goal, Needs needs, Compute compute) {
  try {
    compute();
  } catch (const std::exception& e) {
    const auto& methods = goal.maps.methods;
    const bool others = std::any_of(methods.begin(), methods.end(), [&](const auto* m) { return m->needs < needs; });
    if (!others || !concerns_one_method(e)) throw;
    return std::current_exception();
  }
  return nullptr;
}

Explained differentiate_layers(const LayerMaps& goal, const Captured& captured, const Tensor& score, bool keep_graph) {
  const auto& activations = captured.activations;
  const bool curved = goal.maps.needs() == Needs::curvature;
  Explained explained;
  for (const auto& activation : activations) explained.layers.emplace_back(activation.detach(), Tensor());
  std::vector<Tensor> gradients;
  explained.no_gradient = failure_of(
      goal, Needs::gradient, [&] { gradients = gradients_at_layers(goal, captured, score, keep_graph, curved); });
  explained.no_curvature = explained.no_gradient;
  if (explained.no_gradient) return explained;
  for (size_t i = 0; i < gradients.size(); ++i) explained.layers[i].gradient = gradients[i].detach();
  if (!curved) return explained;
  explained.no_curvature = failure_of(goal, Needs::curvature, [&] {
    auto found = curvatures(gradients, activations);
    for (size_t i = 0; i < found.size(); ++i) explained.layers[i].curvature = std::move(found[i]);
  });
  return explained;
}

Explained differentiate_input(const Captured& captured, const Tensor& score, bool keep_graph) {
  const auto& input = captured.input;
  require_graph(score, captured.output, "the input");
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
                                               std::to_string(calls) + (calls == 1 ? " time" : " times") + ": call " +
                                               std::to_string(*goal.call) + ", counted from 0, does not exist.");
    throw Error("ERR_LAYER_NOT_REACHED",
                "The forward pass never called layer '" + goal.layers[i] + "' with this input.",
                Remedy{"Pick a layer on the way to the output."});
  }
}

void require_guided(const GuidedGradient& goal, const Captured& captured) {
  if (captured.intercepted == 0)
    throw Error("ERR_NO_RELU",
                std::string(goal.rule == ReluRule::deconvnet ? "Deconvnet" : "Guided backprop") + " found no ReLU " +
                    (goal.scope == ReluScope::modules ? "module in the pass; scope 'all' also sees functional ones."
                                                      : "between the input and the score, so its result would be the "
                                                        "plain gradient.") +
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
    require_graph(score, captured_.output, "the input");  // without one no ReLU is in it, whatever the model has
    require_guided(*guided, captured_);
  }
  if (!context_.plan.needs_gradient()) {
    Explained explained;
    for (const auto& activation : captured_.activations) explained.layers.emplace_back(activation.detach(), Tensor());
    return explained;
  }
  if (!layers) return differentiate_input(captured_, score, keep_graph);
  auto explained = differentiate_layers(*layers, captured_, score, keep_graph);
  for (size_t i = 0; i < captured_.baselines.size(); ++i)
    explained.layers[i].baseline = captured_.baselines[i].detach();
  return explained;
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
