#include "rescale_run.h"

#include "core/base/error.h"
#include "core/rescale/linear_graph.h"
#include "core/rescale/recorder.h"
#include "layer_observer.h"
#include "score_observer.h"

namespace gradcam {

namespace {

// The baseline in the shape and memory layout of the input. A baseline of one row per image also serves a batch that
// holds several copies of all images, one batch after the other.
Tensor baseline_like(const Tensor& given, const Tensor& input) {
  auto baseline = given.to(input.options());
  if (baseline.dim() == input.dim() && baseline.dim() > 0 && baseline.size(0) > 1 && input.size(0) > baseline.size(0) &&
      input.size(0) % baseline.size(0) == 0) {
    std::vector<int64_t> times(static_cast<size_t>(input.dim()), 1);
    times.front() = input.size(0) / baseline.size(0);
    baseline = baseline.repeat(times);
  }
  try {
    // With another memory layout, LibTorch may call other operators.
    return at::empty_like(input).copy_(baseline.expand(input.sizes()));
  } catch (const c10::Error& e) {
    throw Error("ERR_SHAPE", "The baseline does not fit the input: " + concise_message(e));
  }
}

}  // namespace

void RescaleRun::capture(const std::vector<IValue>& inputs, const CancelFlag* cancel) {
  const auto at_input = copy_inputs(inputs);
  std::vector<IValue> at_baseline;  // copies: the model may change its inputs in place
  for (const auto& input : at_input)
    at_baseline.push_back(map_tensors(input, [](const Tensor& t) { return t.detach().clone(); }));
  auto& changed = at_baseline.at(context_.plan.input);
  auto start = baseline_like(context_.plan.rescaled_from(), changed.toTensor());
  // The graph starts at the input, or at the first layer.
  changed = context_.plan.at_input() ? start.requires_grad_().clone() : start;
  Captured baseline;
  baseline.activations.resize(captured_.activations.size());
  baseline.calls.resize(captured_.calls.size());
  LayerObserver layers(context_, captured_), layers_of_baseline(context_, baseline);
  RescaleRecorder recorder;
  recorder.at_baseline([&] {
    run_for_score(context_, std::move(at_baseline), &layers_of_baseline, cancel, baseline);
    return baseline.output;
  });
  recorder.at_input([&] {
    run_for_score(context_, at_input, &layers, cancel, captured_);
    return captured_.output;
  });
  captured_.intercepted = recorder.rules();
  captured_.baselines = std::move(baseline.activations);
}

Explained RescaleRun::differentiate(const Tensor& score, bool keep_graph) const {
  require_linear_or_ruled(score);
  return Run::differentiate(score, keep_graph);
}

}  // namespace gradcam
