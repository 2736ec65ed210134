#include "elsewhere.h"

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/base/ivalues.h"
#include "core/base/quadrature.h"
#include "pass.h"

namespace gradcam {

namespace {

// Passes over inputs that differ from the caller's in the one that holds the images, or in what a layer returns.
class Elsewhere {
 public:
  Elsewhere(const std::shared_ptr<Model>& model, const PassPlan& plan, const std::vector<IValue>& inputs,
            const Target& target, const CancelFlag* cancel)
      : model_(model),
        plan_(gradients_alone(plan)),
        pass_(model, plan_),
        inputs_(inputs),
        at_(plan.input),
        target_(target),
        cancel_(cancel) {
    if (!x().is_floating_point())
      throw Error("ERR_INVALID_ARGUMENT",
                  "Methods that differentiate the model at other inputs need one that is a floating-point tensor.");
  }

  const Tensor& x() const { return inputs_.at(at_).toTensor(); }

  // The layers, with activations and gradients, of a pass over `changed` in place of the images.
  std::vector<LayerResult> look(const Tensor& changed) {
    auto inputs = inputs_;
    inputs.at(at_) = changed;
    return run(pass_, std::move(inputs));
  }

  // The same of the caller's own input, by a plan that `edit` has changed.
  template <typename Edit>
  std::vector<LayerResult> look_as(const Edit& edit) {
    auto plan = plan_;
    edit(plan, std::get<LayerMaps>(plan.goal));
    Pass pass(model_, std::move(plan));
    return run(pass, inputs_);
  }

 private:
  std::vector<LayerResult> run(Pass& pass, std::vector<IValue> inputs) {
    if (cancel_) cancel_->check();
    pass.forward(std::move(inputs), cancel_);
    auto layers = pass.backward(target_, /*keep_graph=*/false, cancel_).layers;
    if (cancel_) cancel_->runs().add(1);
    return layers;
  }

  static PassPlan gradients_alone(PassPlan plan) {
    auto& goal = std::get<LayerMaps>(plan.goal);
    goal.maps.methods.clear();
    return plan;
  }

  const std::shared_ptr<Model>& model_;
  const PassPlan plan_;
  Pass pass_;
  const std::vector<IValue>& inputs_;
  const size_t at_;
  const Target& target_;
  const CancelFlag* cancel_;
};

void add_to(Tensor& sum, const Tensor& term) { sum = sum.defined() ? sum + term : term; }

Tensor wide(const Tensor& tensor) { return at_least_float32(tensor); }

// What is asked of the passes, besides their inputs.
struct Asked {
  const MapPlan& maps;
  const Sampling sampling;
  const std::vector<LayerResult>& layers;  // of the pass over the images as they are
  const std::vector<std::string>& paths;
};

void at_noisy_copies(Elsewhere& elsewhere, const Asked& asked, std::vector<LayerReruns>& reruns) {
  const auto& sampling = asked.sampling;
  const auto& x = elsewhere.x();
  const auto share = 1.0 / static_cast<double>(sampling.count);
  // The images of a batch share the noise, so that the map of one does not depend on the others.
  auto sizes = x.sizes().vec();
  if (!sizes.empty()) sizes.front() = 1;
  for (int64_t i = 0; i < sampling.count; ++i) {
    // From the seed alone, on any device.
    const auto dtype = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    const auto generator = at::make_generator<at::CPUGeneratorImpl>(asked.maps.seed + static_cast<uint64_t>(i));
    const auto noise = at::randn(sizes, generator, at::TensorOptions(dtype)) * sampling.sigma;
    const auto layers = elsewhere.look(x + noise.to(x.options()));
    for (size_t layer = 0; layer < layers.size(); ++layer) {
      auto& found = reruns[layer].found;
      const auto g = wide(layers[layer].gradient);
      add_to(found.noisy_gradient, g * share);
      add_to(found.noisy_square, g.square() * share);
      add_to(found.noisy_cube, g.pow(3) * share);
    }
  }
}

void on_path(Elsewhere& elsewhere, const Asked& asked, std::vector<LayerReruns>& reruns) {
  const auto& x = elsewhere.x();
  const auto baseline = asked.maps.baseline;
  for (const auto& [at, weight] : gauss_legendre(asked.sampling.count)) {
    const auto layers = elsewhere.look(baseline + at * (x - baseline));
    for (size_t layer = 0; layer < layers.size(); ++layer)
      add_to(reruns[layer].found.path_gradient, wide(layers[layer].gradient) * weight);
  }
}

// Shares no pass with on_path: Captum's points of n steps are those of n for the one and of n + 1 for the other.
void on_path_segments(Elsewhere& elsewhere, const Asked& asked, std::vector<LayerReruns>& reruns) {
  const auto& x = elsewhere.x();
  const auto baseline = asked.maps.baseline;
  std::vector<LayerResult> before;
  for (const auto& [at, _] : gauss_legendre(asked.sampling.count + 1)) {
    auto layers = elsewhere.look(baseline + at * (x - baseline));
    for (size_t layer = 0; layer < before.size(); ++layer)
      add_to(reruns[layer].found.conductance,
             wide(before[layer].gradient) * (wide(layers[layer].activation) - wide(before[layer].activation)));
    before = std::move(layers);
  }
}

// The line is in the layer's own space: only what follows the layer runs at each point, where the model is split.
void on_layer_path(Elsewhere& elsewhere, const Asked& asked, std::vector<LayerReruns>& reruns) {
  const auto start = elsewhere.look(at::full_like(elsewhere.x(), asked.maps.baseline));
  const auto points = gauss_legendre(asked.sampling.count);
  for (size_t layer = 0; layer < start.size(); ++layer) {
    auto& found = reruns[layer].found;
    const auto& from = start[layer].activation;
    const auto& to = asked.layers[layer].activation;
    if (from.sizes() != to.sizes())
      throw Error("ERR_LAYER_OUTPUT",
                  "Layer '" + asked.paths[layer] + "' returned a tensor of shape " + shape_text(to) +
                      " for the input, and of " + shape_text(from) +
                      " for the baseline, so that there is no line between them.",
                  Remedy{"Pick another layer, or a method that does not compare it with a baseline."});
    found.baseline_activation = from;
    ReplacedOutput replaced{{}, std::make_shared<KeptCut>()};
    for (const auto& [at, weight] : points) {
      replaced.value = from + at * (to - from);
      const auto layers = elsewhere.look_as([&](PassPlan&, LayerMaps& goal) {
        goal.layers = {asked.paths[layer]};
        goal.replaced = replaced;
      });
      add_to(found.layer_path_gradient, wide(layers.front().gradient) * weight);
    }
  }
}

// The gradient by the rule is evidence of the methods, and not the layer's own.
void take_comparison(LayerResult& layer, LayerEvidence& found) {
  if (!found.baseline_activation.defined()) found.baseline_activation = layer.baseline;
  found.rescaled_gradient = std::exchange(layer.gradient, Tensor());
}

void from_baseline(Elsewhere& elsewhere, const Asked& asked, std::vector<LayerReruns>& reruns) {
  auto layers = elsewhere.look_as([&](PassPlan& plan, LayerMaps& goal) {
    goal.rescaled_from = at::scalar_tensor(asked.maps.baseline, at::kDouble);
    plan.execution = Execution::hooked;
    plan.head_dtype.reset();
  });
  for (size_t layer = 0; layer < layers.size(); ++layer) take_comparison(layers[layer], reruns[layer].found);
}

// How something is found, and how many passes that takes of `count` points and `layers`.
struct Way {
  Rerun rerun;
  void (*find)(Elsewhere&, const Asked&, std::vector<LayerReruns>&);
  int64_t (*passes)(int64_t count, int64_t layers);
};

constexpr Way kWays[] = {
    {Rerun::noisy_inputs, at_noisy_copies, [](int64_t count, int64_t) { return count; }},
    {Rerun::path, on_path, [](int64_t count, int64_t) { return count; }},
    {Rerun::path_segments, on_path_segments, [](int64_t count, int64_t) { return count + 1; }},
    {Rerun::layer_path, on_layer_path, [](int64_t count, int64_t layers) { return 1 + count * layers; }},
    {Rerun::rescaled, from_baseline, [](int64_t, int64_t) { return int64_t{1}; }},
};

}  // namespace

PassPlan with_own_baseline(PassPlan plan) {
  auto* goal = std::get_if<LayerMaps>(&plan.goal);
  if (!goal || goal->maps.methods.empty() || plan.execution == Execution::split || plan.head_dtype) return plan;
  const auto& methods = goal->maps.methods;
  if (std::all_of(methods.begin(), methods.end(), [](const auto* one) { return one->rerun == Rerun::rescaled; }))
    goal->rescaled_from = at::scalar_tensor(goal->maps.baseline, at::kDouble);
  return plan;
}

std::vector<LayerReruns> take_comparison(Explained& explained) {
  std::vector<LayerReruns> reruns(explained.layers.size());
  for (size_t i = 0; i < reruns.size(); ++i) {
    take_comparison(explained.layers[i], reruns[i].found);
    reruns[i].missing[Rerun::rescaled] = explained.no_gradient;
  }
  return reruns;
}

void differentiate_elsewhere(const std::shared_ptr<Model>& model, const PassPlan& plan,
                             const std::vector<IValue>& inputs, const Target& target,
                             const std::vector<LayerResult>& layers, const CancelFlag* cancel,
                             std::vector<LayerReruns>& reruns) {
  const auto& goal = std::get<LayerMaps>(plan.goal);
  for (const auto& way : kWays) {
    const auto method = std::find_if(goal.maps.methods.begin(), goal.maps.methods.end(),
                                     [&](const auto* one) { return one->rerun == way.rerun; });
    if (method == goal.maps.methods.end()) continue;
    const Asked asked{goal.maps, goal.maps.sampling(**method), layers, goal.layers};
    std::exception_ptr missing;
    try {
      Elsewhere elsewhere(model, plan, inputs, target, cancel);
      if (cancel) cancel->runs().expect(way.passes(asked.sampling.count, static_cast<int64_t>(layers.size())));
      way.find(elsewhere, asked, reruns);
    } catch (const std::exception& e) {
      if (!concerns_one_method(e)) throw;
      missing = std::current_exception();
    }
    for (auto& layer : reruns) layer.missing[way.rerun] = missing;
  }
}

}  // namespace gradcam
