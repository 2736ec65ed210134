#include "pass.h"

#include <torch/csrc/autograd/autograd.h>

#include "core/autograd/batch_norm_node.h"
#include "core/autograd/graph_rewrite.h"
#include "core/autograd/relu_node.h"
#include "core/autograd/stem_node.h"
#include "core/base/error.h"
#include "core/maps/implicit_bias.h"
#include "core/rescale/rescale_run.h"

namespace gradcam {

namespace {

bool shares_storage(const Tensor& tensor, const Inputs& inputs) {
  bool shares = false;
  for (const auto& input : inputs)
    for_each_tensor(input, [&](const Tensor& t) { shares |= t.defined() && t.is_alias_of(tensor); });
  return shares;
}

}  // namespace

class Pass::Observer : public CallObserver {
 public:
  explicit Observer(Pass& pass) : pass_(pass) {}

  bool observes(ModuleId object, const c10::ClassType& type) const override {
    return layer_index(object) >= 0 || (pass_.plan_.guided == ReluScope::modules && is_relu_module(type));
  }

  void after(ModuleId object, const c10::ClassType& type, const Inputs& inputs, IValue& output) override {
    if (pass_.plan_.guided == ReluScope::modules && is_relu_module(type) && output.isTensor() &&
        is_relu_output(output.toTensor()))
      pass_.relu_modules_.push_back(output.toTensor().grad_fn());
    for (size_t i = 0; i < pass_.layer_objects_.size(); ++i)  // one instance may stand under several of the paths
      if (pass_.layer_objects_[i] == object) capture(i, inputs, output);
  }

 private:
  static bool is_relu_module(const c10::ClassType& type) { return type.name() && type.name()->name() == "ReLU"; }

  int layer_index(ModuleId object) const {
    for (size_t i = 0; i < pass_.layer_objects_.size(); ++i)
      if (pass_.layer_objects_[i] == object) return static_cast<int>(i);
    return -1;
  }

  // What is kept is the value that the layer returned. The model goes on with a copy, so that an in-place operator
  // after the layer (densenet's ReLU) changes the copy. A layer may itself return its input (Identity, an in-place
  // ReLU), which others still hold: then it is the captured value that must be the copy.
  void capture(size_t index, const Inputs& inputs, IValue& output) {
    if (!output.isTensor() || !output.toTensor().is_floating_point())
      throw Error("ERR_LAYER_OUTPUT", "Layer '" + pass_.plan_.layers[index] + "' returned " +
                                          (output.isTensor() ? "a tensor of integers" : "a " + output.tagKind()) +
                                          ", not one floating-point tensor. Pick a layer inside or after it.");
    Tensor value = output.toTensor();
    if (pass_.plan_.full_grad) {
      pass_.biases_[index] = implicit_bias(pass_.layer_objects_[index], inputs, value);
      if (!pass_.biases_[index].defined()) return;
    }
    if (shares_storage(value, inputs)) value = value.clone();
    if (pass_.needs_gradient()) {
      at::GradMode::set_enabled(true);  // the graph starts here even where the model runs under no_grad
      if (!value.requires_grad()) value = value.detach().requires_grad_();
    }
    output = value.clone();
    pass_.activations_[index] = std::move(value);
    ++pass_.calls_[index];
  }

  Pass& pass_;
};

Pass::Pass(std::shared_ptr<Model> model, PassPlan plan) : model_(std::move(model)), plan_(std::move(plan)) {
  for (const auto& path : plan_.layers) layer_objects_.push_back(model_->module_at(path));
}

Pass::Pass(std::shared_ptr<Model> model, PassPlan plan, std::vector<ModuleId> layer_objects)
    : model_(std::move(model)), plan_(std::move(plan)), layer_objects_(std::move(layer_objects)) {}

std::shared_ptr<Pass> Pass::fork() const { return std::shared_ptr<Pass>(new Pass(model_, plan_, layer_objects_)); }

void Pass::release() {
  output_.reset();
  activations_.assign(plan_.layers.size(), Tensor());
  input_ = Tensor();
  biases_.assign(plan_.layers.size(), Tensor());
  input_size_.clear();
  guided_relus_ = 0;
  relu_modules_.clear();
  other_activation_.clear();
  kept_inputs_.clear();
  kept_cut_.reset();
  calls_.assign(plan_.layers.size(), 0);
}

bool Pass::needs_gradient() const {
  if (plan_.scores_only) return false;
  return plan_.input_gradient || plan_.maps.methods.empty() || plan_.maps.needs() != Needs::activation;
}

const IValue& Pass::forward(std::vector<IValue> inputs, const CancelFlag* cancel) {
  release();
  const bool hooked_before = model_->hooks().has_hooks();
  if (plan_.input_gradient &&
      (inputs.empty() || !inputs.front().isTensor() || !inputs.front().toTensor().is_floating_point()))
    throw Error("ERR_INVALID_ARGUMENT",
                "The gradient at the input needs a first input that is a floating-point tensor.");
  const at::AutoGradMode with_graph(needs_gradient());
  try {
    const auto split = find_split(inputs);
    if (!split || !try_split(split, inputs, cancel)) {
      forward_hooked(inputs, cancel);
      if (split) give_up_split();  // the inputs were not at fault
    }
    if (!inputs.empty() && inputs.front().isTensor() && inputs.front().toTensor().dim() > 2)
      input_size_ = inputs.front().toTensor().sizes().slice(2).vec();
    if (runs_again()) keep_for_rerun(inputs);
  } catch (...) {
    release();
    throw;
  }
  if (plan_.guided != ReluScope::none || (plan_.input_gradient && !plan_.baseline.defined() && !plan_.full_grad))
    rewrite_graph_behind_output(/*others_hold_parts=*/hooked_before || model_->hooks().has_hooks());
  return *output_;
}

// Hooks may have kept tensors that lead to any node: then none is replaced.
void Pass::rewrite_graph_behind_output(bool others_hold_parts) {
  std::vector<Tensor> ends = activations_;
  for_each_tensor(*output_, [&](const Tensor& t) {
    if (t.defined()) ends.push_back(t);
  });
  ReluRuler rule(plan_.relu_rule, plan_.guided == ReluScope::modules ? &relu_modules_ : nullptr);
  rewrite_graph(ends, [&](const NodePtr& node, bool replaceable) -> NodePtr {
    replaceable = replaceable && !others_hold_parts && !is_watched(*node);
    if (plan_.guided != ReluScope::none)
      if (auto ruled = rule(node, replaceable)) return ruled;
    if (!replaceable || is_watched(*node))
      return {};  // the rule may have hung on by a hook, where it could not replace
    if (auto lean = relu_node(node, std::nullopt)) return lean;
    if (auto lean = batch_norm_node(node)) return lean;
    return stem_node(node);
  });
  merge_nodes(ends, merge_batch_norm);
  relu_modules_.clear();
  guided_relus_ = rule.count();
  if (plan_.guided == ReluScope::all) other_activation_ = rule.other();
}

void Pass::forward_hooked(std::vector<IValue> inputs, const CancelFlag* cancel) {
  // The model sees copies off the caller's graph: it may change its inputs in place, and what lies before them is not
  // what is explained.
  for (auto& input : inputs) input = map_tensors(input, [](const Tensor& t) { return t.detach().clone(); });
  if (plan_.input_gradient) {
    // A leaf of our own: the caller's tensor keeps its requiresGrad and its grad. The model sees a copy of the leaf,
    // which it may change in place.
    input_ = inputs.front().toTensor().to(model_->device()).requires_grad_();
    inputs.front() = input_.clone();
  }
  if (plan_.baseline.defined()) {
    forward_rescaled(inputs, cancel);
    return;
  }
  Observer observer(*this);
  output_ = model_->run(std::move(inputs), &observer, cancel);
}

Explained Pass::backward(const Target& target, bool keep_graph, const CancelFlag* cancel) {
  if (!output_) throw Error("ERR_NO_FORWARD", "There is nothing to explain yet: call forward(input) first.");
  const at::AutoGradMode with_graph(true);
  auto resolved = resolve_target(*output_, target);
  auto explained = differentiate(resolved.scores.sum(), keep_graph);
  resolved.scores = resolved.scores.detach();
  make_maps(explained, score_channels({target, resolved, plan_.maps.chunk_size, cancel}, explained));
  explained.classes = std::move(resolved.classes);
  explained.scores = resolved.scores.to(at::kCPU, at::kDouble);
  return explained;
}

Explained Pass::backward(const Tensor& score, bool keep_graph) {
  if (!output_) throw Error("ERR_NO_FORWARD", "There is nothing to explain yet: call forward(input) first.");
  if (score.numel() != 1)
    throw Error("ERR_TARGET", "The target function returned a Tensor of shape " + shape_text(score) +
                                  ". A score is one number: end it with .sum(), or select one element.");
  for (const auto* method : plan_.maps.methods)
    if (method->rerun != Rerun::none)
      throw Error("ERR_TARGET",
                  std::string(method->name) +
                      " runs the model again and asks each output for its score, which a target that is a "
                      "function of one output cannot tell. Give a class, or a target as plain data.");
  auto explained = differentiate(score.sum(), keep_graph);
  make_maps(explained, {});
  explained.scores = score.detach().reshape({1}).to(at::kCPU, at::kDouble);
  return explained;
}

Explained Pass::differentiate(const Tensor& score, bool keep_graph) {
  if (plan_.scores_only) return {};
  if (plan_.full_grad) return differentiate_full(score, keep_graph);
  for (size_t i = 0; i < activations_.size(); ++i)
    if (!activations_[i].defined())
      throw Error("ERR_LAYER_NOT_REACHED", "The forward pass never called layer '" + plan_.layers[i] +
                                               "' with this input. Pick a layer on the way to the output.");
  if (plan_.guided != ReluScope::none && guided_relus_ == 0)
    throw Error("ERR_NO_RELU",
                std::string("Guided backprop found no ReLU ") +
                    (plan_.guided == ReluScope::modules ? "module in the pass; scope 'all' also sees functional ones."
                                                        : "in the pass, so its result would be the plain gradient.") +
                    " The rule is defined for ReLU alone.");
  if (!other_activation_.empty())
    throw Error("ERR_ACTIVATION",
                "The pass goes through " + other_activation_ +
                    ", for which guided backprop and deconvnet have no rule: theirs are for ReLU (and "
                    "ReLU6) alone, and the plain gradient in its place would be another method. Use the "
                    "plain gradient, smoothed, or integrated gradients.");
  if (!needs_gradient()) {
    Explained explained;
    for (const auto& activation : activations_) explained.layers.emplace_back(activation.detach(), Tensor());
    return explained;
  }
  if (!score.requires_grad())
    throw Error(
        "ERR_NO_GRADIENT",
        "The score does not depend on what is explained: the model computes it under no_grad, from integers, or "
        "from detached values. Explain an output that is differentiable.");
  if (plan_.baseline.defined()) require_rescaled(score);

  std::vector<Tensor> sources = activations_;
  if (plan_.input_gradient) sources.push_back(input_);
  const bool curved = plan_.maps.needs() == Needs::curvature;
  const auto gradients = torch::autograd::grad({score}, sources, {}, keep_graph || curved, /*create_graph=*/curved,
                                               /*allow_unused=*/true);
  Explained explained;
  for (size_t i = 0; i < activations_.size(); ++i) {
    if (!gradients[i].defined())
      throw Error("ERR_NO_GRADIENT", "The score does not depend on layer '" + plan_.layers[i] +
                                         "', so it has no gradient there. Pick a layer on the way to that output.");
    explained.layers.emplace_back(activations_[i].detach(), gradients[i].detach());
    if (curved) explained.layers.back().curvature = curvature(gradients[i], activations_[i]);
  }
  if (plan_.input_gradient) {
    if (!gradients.back().defined())
      throw Error("ERR_NO_GRADIENT", "The score does not depend on the input, so it has no gradient there.");
    explained.input_gradient = gradients.back().detach();
  }
  return explained;
}

// FullGrad: layers that the pass did not reach, that have no bias or that the score does not depend on add nothing.
Explained Pass::differentiate_full(const Tensor& score, bool keep_graph) {
  std::vector<Tensor> sources = {input_}, biases;
  for (size_t i = 0; i < activations_.size(); ++i)
    if (activations_[i].defined()) {
      sources.push_back(activations_[i]);
      biases.push_back(biases_[i]);
    }
  if (!score.requires_grad()) throw Error("ERR_NO_GRADIENT", "The score does not depend on the input by a gradient.");
  const auto gradients = torch::autograd::grad({score}, sources, {}, keep_graph, /*create_graph=*/false,
                                               /*allow_unused=*/true);
  if (!gradients.front().defined() || input_.dim() != 4)
    throw Error("ERR_NO_GRADIENT", "FullGrad needs a score that depends on an input [N, C, H, W], but the input is " +
                                       shape_text(input_) +
                                       (gradients.front().defined() ? "." : " and has no gradient."));
  std::vector<BiasEvidence> evidence;
  for (size_t i = 0; i < biases.size(); ++i)
    if (gradients[i + 1].defined()) evidence.push_back({biases[i], gradients[i + 1]});
  Explained explained;
  const at::NoGradGuard no_graph;
  explained.input_gradient = gradients.front().detach();
  explained.full_grad = full_grad(evidence, input_.detach(), explained.input_gradient);
  return explained;
}

// H A, as the gradient of <G, A> where A is held fixed. Zero where G does not depend on A: there the score is linear in
// it.
Tensor Pass::curvature(const Tensor& gradient, const Tensor& activation) const {
  if (!gradient.requires_grad()) return at::zeros_like(activation);
  const auto product = torch::autograd::grad({gradient}, {activation}, {activation.detach()}, /*retain_graph=*/true,
                                             /*create_graph=*/false, /*allow_unused=*/true)
                           .front();
  return product.defined() ? product.detach() : at::zeros_like(activation);
}

void Pass::make_maps(Explained& explained, const std::vector<ChannelScores>& scores) const {
  const at::NoGradGuard no_graph;
  const auto& plan = plan_.maps;
  if (plan.methods.empty()) return;
  std::vector<std::vector<Tensor>> by_method(plan.methods.size());
  for (size_t i = 0; i < explained.layers.size(); ++i) {
    const auto& layer = explained.layers[i];
    const auto again = scores.empty() ? ChannelScores{} : scores[i];
    LayerEvidence evidence{layer.activation, layer.gradient, layer.curvature, again.score, again.ablated, again.masked};
    auto maps = layer_maps(plan, std::move(evidence), plan_.layers[i], i, input_size_);
    for (size_t m = 0; m < maps.size(); ++m) by_method[m].push_back(std::move(maps[m]));
  }
  for (const auto& by_layer : by_method) explained.maps.push_back(finish_maps(plan, by_layer));
}

}  // namespace gradcam
