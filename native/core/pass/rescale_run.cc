#include "rescale_run.h"

#include "core/base/error.h"
#include "core/rescale/linear_graph.h"
#include "core/rescale/recorder.h"

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
  const auto& goal = *context_.plan.explains<RescaledGradient>();
  const auto leaf = baseline_like(goal.baseline, captured_.input.detach()).requires_grad_();
  at_baseline.at(context_.plan.input) = leaf.clone();
  RescaleRecorder recorder;
  recorder.at_baseline([&] { return context_.model.run_and_restore(std::move(at_baseline), nullptr, cancel); });
  captured_.output = recorder.at_input([&] { return context_.model.run_and_restore(at_input, nullptr, cancel); });
  captured_.intercepted = recorder.rules();
}

Explained RescaleRun::differentiate(const Tensor& score, bool keep_graph) const {
  require_linear_or_ruled(score);
  return Run::differentiate(score, keep_graph);
}

}  // namespace gradcam
