// The part of Pass that runs its model twice, at a baseline and at the input, for DeepLIFT.
#include "core/base/error.h"
#include "core/base/ivalues.h"
#include "core/rescale/rescale_run.h"
#include "pass.h"

namespace gradcam {

namespace {

// The baseline in the shape and layout of the input. A baseline for each image serves copies of all of them, one batch
// behind the other.
Tensor baseline_like(const Tensor& given, const Tensor& input) {
  auto baseline = given.to(input.options());
  if (baseline.dim() == input.dim() && baseline.dim() > 0 && baseline.size(0) > 1 && input.size(0) > baseline.size(0) &&
      input.size(0) % baseline.size(0) == 0) {
    std::vector<int64_t> times(static_cast<size_t>(input.dim()), 1);
    times.front() = input.size(0) / baseline.size(0);
    baseline = baseline.repeat(times);
  }
  try {
    // It lies in memory as the input does: operators differ with the layout.
    return at::empty_like(input).copy_(baseline.expand(input.sizes()));
  } catch (const c10::Error& e) {
    throw Error("ERR_SHAPE", "The baseline does not fit the input: " + concise_message(e));
  }
}

}  // namespace

// `inputs` are this pass's own; the first is a copy of the leaf.
void Pass::forward_rescaled(const std::vector<IValue>& inputs, const CancelFlag* cancel) {
  // The model may change its inputs in place.
  auto at_baseline = inputs;
  for (auto& input : at_baseline) input = map_tensors(input, [](const Tensor& t) { return t.detach().clone(); });
  const auto leaf = baseline_like(plan_.baseline, input_.detach()).requires_grad_();
  at_baseline.front() = leaf.clone();
  RescaleRun runs;
  runs.at_baseline([&] { return model_->run(std::move(at_baseline), nullptr, cancel); });
  output_ = runs.at_input([&] { return model_->run(inputs, nullptr, cancel); });
  guided_relus_ = runs.rules();
}

}  // namespace gradcam
