#include "elsewhere.h"

#include <ATen/CPUGeneratorImpl.h>

#include "core/base/error.h"
#include "core/base/quadrature.h"
#include "pass.h"

namespace gradcam {

namespace {

// Passes over inputs that differ from the caller's in the one that holds the images.
class Elsewhere {
 public:
  Elsewhere(const std::shared_ptr<Model>& model, const PassPlan& plan, const std::vector<IValue>& inputs,
            const Target& target, const CancelFlag* cancel)
      : pass_(model, gradients_alone(plan)), inputs_(inputs), at_(plan.input), target_(target), cancel_(cancel) {
    if (!x().is_floating_point())
      throw Error("ERR_INVALID_ARGUMENT",
                  "Methods that differentiate the model at other inputs need one that is a floating-point tensor.");
  }

  const Tensor& x() const { return inputs_.at(at_).toTensor(); }

  // The layers, with activations and gradients, of a pass over `changed` in place of the images.
  std::vector<LayerResult> look(const Tensor& changed) {
    if (cancel_) cancel_->check();
    auto inputs = inputs_;
    inputs.at(at_) = changed;
    pass_.forward(std::move(inputs), cancel_);
    auto layers = pass_.backward(target_, /*keep_graph=*/false, cancel_).layers;
    if (cancel_) cancel_->runs().add(1);
    return layers;
  }

 private:
  static PassPlan gradients_alone(PassPlan plan) {
    auto& goal = std::get<LayerMaps>(plan.goal);
    goal.maps.methods.clear();
    return plan;
  }

  Pass pass_;
  const std::vector<IValue>& inputs_;
  const size_t at_;
  const Target& target_;
  const CancelFlag* cancel_;
};

void add_to(Tensor& sum, const Tensor& term) { sum = sum.defined() ? sum + term : term; }

Tensor wide(const Tensor& tensor) { return at_least_float32(tensor); }

void at_noisy_copies(Elsewhere& elsewhere, const Sampling& sampling, uint64_t seed, std::vector<LayerReruns>& reruns) {
  const auto& x = elsewhere.x();
  const auto share = 1.0 / static_cast<double>(sampling.count);
  // The images of a batch share the noise, so that the map of one does not depend on the others.
  auto sizes = x.sizes().vec();
  if (!sizes.empty()) sizes.front() = 1;
  for (int64_t i = 0; i < sampling.count; ++i) {
    // From the seed alone, on any device.
    const auto dtype = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    const auto generator = at::make_generator<at::CPUGeneratorImpl>(seed + static_cast<uint64_t>(i));
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

void on_path(Elsewhere& elsewhere, const Sampling& sampling, double baseline, std::vector<LayerReruns>& reruns) {
  const auto& x = elsewhere.x();
  for (const auto& [at, weight] : gauss_legendre(sampling.count)) {
    const auto layers = elsewhere.look(baseline + at * (x - baseline));
    for (size_t layer = 0; layer < layers.size(); ++layer)
      add_to(reruns[layer].found.path_gradient, wide(layers[layer].gradient) * weight);
  }
}

// Shares no pass with on_path: Captum's points of n steps are those of n for the one and of n + 1 for the other.
void on_path_segments(Elsewhere& elsewhere, const Sampling& sampling, double baseline,
                      std::vector<LayerReruns>& reruns) {
  const auto& x = elsewhere.x();
  std::vector<LayerResult> before;
  for (const auto& [at, _] : gauss_legendre(sampling.count + 1)) {
    auto layers = elsewhere.look(baseline + at * (x - baseline));
    for (size_t layer = 0; layer < before.size(); ++layer)
      add_to(reruns[layer].found.conductance,
             wide(before[layer].gradient) * (wide(layers[layer].activation) - wide(before[layer].activation)));
    before = std::move(layers);
  }
}

}  // namespace

void differentiate_elsewhere(const std::shared_ptr<Model>& model, const PassPlan& plan,
                             const std::vector<IValue>& inputs, const Target& target, const CancelFlag* cancel,
                             std::vector<LayerReruns>& reruns) {
  const auto& maps = std::get<LayerMaps>(plan.goal).maps;
  for (const auto* method : maps.methods) {
    const auto rerun = method->rerun;
    if (rerun != Rerun::noisy_inputs && rerun != Rerun::path && rerun != Rerun::path_segments) continue;
    const auto sampling = maps.sampling(*method);
    std::exception_ptr missing;
    try {
      Elsewhere elsewhere(model, plan, inputs, target, cancel);
      if (cancel) cancel->runs().expect(sampling.count + (rerun == Rerun::path_segments ? 1 : 0));
      if (rerun == Rerun::noisy_inputs) at_noisy_copies(elsewhere, sampling, maps.seed, reruns);
      if (rerun == Rerun::path) on_path(elsewhere, sampling, maps.baseline, reruns);
      if (rerun == Rerun::path_segments) on_path_segments(elsewhere, sampling, maps.baseline, reruns);
    } catch (const std::exception& e) {
      if (!concerns_one_method(e)) throw;
      missing = std::current_exception();
    }
    for (auto& layer : reruns) layer.missing[rerun] = missing;
  }
}

}  // namespace gradcam
