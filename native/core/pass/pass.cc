#include "pass.h"

#include <algorithm>

#include "core/base/error.h"
#include "execution.h"
#include "full_grad_run.h"
#include "hooked_run.h"
#include "rescale_run.h"
#include "split_run.h"

namespace gradcam {

namespace {

std::unique_ptr<Run> make_unsplit_run(const RunContext& context) {
  if (context.plan.explains<RescaledGradient>()) return std::make_unique<RescaleRun>(context);
  if (context.plan.explains<FullGradient>()) return std::make_unique<FullGradRun>(context);
  return std::make_unique<HookedRun>(context);
}

void require_differentiable(const std::vector<IValue>& inputs) {
  if (inputs.empty() || !inputs.front().isTensor() || !inputs.front().toTensor().is_floating_point())
    throw Error("ERR_INVALID_ARGUMENT",
                "The gradient at the input needs a first input that is a floating-point tensor.");
}

}  // namespace

Pass::Pass(std::shared_ptr<Model> model, PassPlan plan)
    : Pass(model, plan, [&] {
        std::vector<ModuleId> objects;
        for (const auto& path : plan.layers()) objects.push_back(model->module_at(path));
        return objects;
      }()) {}

Pass::Pass(std::shared_ptr<Model> model, PassPlan plan, std::vector<ModuleId> layer_objects)
    : model_(std::move(model)), plan_(std::move(plan)), layer_objects_(std::move(layer_objects)) {}

std::shared_ptr<Pass> Pass::fork() const { return std::shared_ptr<Pass>(new Pass(model_, plan_, layer_objects_)); }

void Pass::release() {
  rerunner_.reset();
  run_.reset();
  input_size_.clear();
}

const IValue& Pass::forward(std::vector<IValue> inputs, const CancelFlag* cancel) {
  release();
  check_inputs(model_->contract(), inputs);
  if (plan_.at_input()) require_differentiable(inputs);
  const at::AutoGradMode with_graph(plan_.needs_gradient());
  auto run = run_forward(inputs, cancel);
  if (plan_.reruns()) rerunner_ = std::make_unique<Rerunner>(context(), inputs, run->captured());
  input_size_ = spatial_size(inputs);
  run_ = std::move(run);
  return run_->output();
}

std::unique_ptr<Run> Pass::run_forward(const std::vector<IValue>& inputs, const CancelFlag* cancel) {
  const auto choice = choose_execution(plan_, *model_, inputs);
  why_hooked_ = choice.why_hooked;
  if (choice.split)
    if (auto run = SplitRun::try_forward(context(), choice.split, inputs, cancel, why_hooked_)) return run;
  auto run = make_unsplit_run(context());
  run->forward(inputs, cancel);
  if (choice.split) {
    // The model takes the inputs that the split did not: the split is at fault.
    model_->give_up_split(plan_.split_plan(), why_hooked_);
    refuse_if_split_required(plan_, why_hooked_);
  }
  return run;
}

Run& Pass::finished_run() const {
  if (!run_) throw Error("ERR_NO_FORWARD", "There is nothing to explain yet: call forward(input) first.");
  return *run_;
}

Explained Pass::backward(const Target& target, bool keep_graph, const CancelFlag* cancel) {
  const auto& run = finished_run();
  const at::AutoGradMode with_graph(true);
  auto resolved = resolve_target(run.output(), target);
  auto explained = run.differentiate(resolved.scores.sum(), keep_graph);
  resolved.scores = resolved.scores.detach();
  make_maps(explained, score_channels(target, resolved, explained, cancel));
  explained.classes = std::move(resolved.classes);
  explained.scores = resolved.scores.to(at::kCPU, at::kDouble);
  return explained;
}

Explained Pass::backward(const Tensor& score, bool keep_graph) {
  const auto& run = finished_run();
  if (score.numel() != 1)
    throw Error("ERR_TARGET", "The target function returned a Tensor of shape " + shape_text(score) +
                                  ". A score is one number: end it with .sum(), or select one element.");
  if (const auto* layers = plan_.explains<LayerMaps>())
    for (const auto* method : layers->maps.methods)
      if (method->rerun != Rerun::none)
        throw Error("ERR_TARGET",
                    std::string(method->name) +
                        " runs the model again and needs the score of each output, which a target that is a "
                        "function of one output cannot give.",
                    Remedy{"Give a class, or a target as plain data."});
  auto explained = run.differentiate(score.sum(), keep_graph);
  make_maps(explained, {});
  explained.scores = score.detach().reshape({1}).to(at::kCPU, at::kDouble);
  return explained;
}

std::vector<ChannelScores> Pass::score_channels(const Target& target, const ResolvedTarget& resolved,
                                                const Explained& explained, const CancelFlag* cancel) const {
  if (!rerunner_) return {};
  std::vector<Tensor> activations;
  for (const auto& layer : explained.layers) activations.push_back(layer.activation);
  const auto chunk = std::min(plan_.explains<LayerMaps>()->maps.chunk_size, model_->contract().batch().max);
  return rerunner_->score_channels({target, resolved, chunk, model_->contract().batch().min, cancel}, activations);
}

void Pass::make_maps(Explained& explained, const std::vector<ChannelScores>& scores) const {
  const auto* goal = plan_.explains<LayerMaps>();
  if (!goal || goal->maps.methods.empty()) return;
  const at::NoGradGuard no_graph;
  std::vector<std::vector<Tensor>> by_method(goal->maps.methods.size());
  for (size_t i = 0; i < explained.layers.size(); ++i) {
    const auto& layer = explained.layers[i];
    const auto rerun = scores.empty() ? ChannelScores{} : scores[i];
    LayerEvidence evidence{layer.activation, layer.gradient, layer.curvature, rerun.score, rerun.ablated, rerun.masked};
    auto maps = layer_maps(goal->maps, std::move(evidence), goal->layers[i], i, input_size_);
    for (size_t m = 0; m < maps.size(); ++m) by_method[m].push_back(std::move(maps[m]));
  }
  for (const auto& by_layer : by_method) explained.maps.push_back(finish_maps(goal->maps, by_layer));
}

}  // namespace gradcam
