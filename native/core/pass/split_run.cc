#include "split_run.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/model/copy_inputs.h"
#include "core/split/split_graph.h"
#include "core/split/split_ops.h"

namespace gradcam {

namespace {

std::unique_ptr<Run> run_in_some_layout(const RunContext& context, const std::shared_ptr<SplitModel>& split,
                                        const std::vector<IValue>& inputs, const CancelFlag* cancel, std::string& why) {
  std::vector<bool> layouts{false};
  if (split->channels_last) layouts.insert(layouts.begin(), true);
  for (const bool channels_last : layouts) {
    auto run = std::make_unique<SplitRun>(context, split, channels_last);
    try {
      run->forward(inputs, cancel);
      split->channels_last = channels_last;
      why.clear();
      return run;
    } catch (const Cancelled&) {
      throw;
    } catch (const std::exception& e) {
      if (is_out_of_memory(e)) throw;
      why = concise_message(e);
    }
  }
  return nullptr;
}

// The tail may change values of a cut in place, and may append to lists.
Cut copy_of(const Cut& cut) {
  Cut copy;
  for (const auto& value : cut.values)
    copy.values.push_back(map_tensors(value, [](const Tensor& t) { return t.detach().clone(); }));
  return copy;
}

}  // namespace

// A split packs its weights when it first runs. If there is too little memory for that, the model's other splits are
// freed, and it runs again.
std::unique_ptr<Run> SplitRun::try_forward(const RunContext& context, const std::shared_ptr<SplitModel>& split,
                                           const std::vector<IValue>& inputs, const CancelFlag* cancel,
                                           std::string& why) {
  try {
    return run_in_some_layout(context, split, inputs, cancel, why);
  } catch (const std::exception& e) {
    if (!is_out_of_memory(e) || !context.model.keep_only_split(context.plan.split_plan())) throw;
  }
  return run_in_some_layout(context, split, inputs, cancel, why);
}

// Where the layer's output is replaced, the head runs once for all that replaces it.
Cut SplitRun::run_head(const std::vector<IValue>& inputs, const CancelFlag* cancel) const {
  const auto* layers = context_.plan.explains<LayerMaps>();
  const auto* replaced = layers && layers->replaced ? &*layers->replaced : nullptr;
  Cut cut;
  if (replaced && replaced->cut->split == split_ && replaced->cut->channels_last == channels_last_) {
    cut = copy_of(replaced->cut->cut);
  } else {
    std::vector<IValue> own;
    for (const auto& input : inputs) own.push_back(copy_input(input, context_.model.device(), channels_last_));
    cut = split_->run_head(std::move(own), cancel);
    if (replaced) *replaced->cut = {split_, copy_of(cut), channels_last_};
  }
  if (replaced) {
    if (cut.values.at(0).toTensor().sizes() != replaced->value.sizes())
      throw CannotSplit("the layer's output has another shape at the baseline");
    cut.values[0] = replaced->value.clone();
  }
  return cut;
}

void SplitRun::capture(const std::vector<IValue>& inputs, const CancelFlag* cancel) {
  auto cut = run_head(inputs, cancel);
  if (cancel) cancel->check();
  if (context_.plan.explains<ScoresOnly>()) {
    captured_.output = std::move(cut.values.at(0));
    return;
  }
  start_graph(cut);
  const ReluNotes notes(captured_.relu_modules);
  auto result = split_->run_tail(cut, cancel);
  for (const auto& activation : result.activations)
    if (context_.plan.needs_gradient() && !activation.requires_grad())
      throw CannotSplit("one of its target layers does not depend on the first");
  captured_.output = std::move(result.output);
  captured_.activations = std::move(result.activations);
  std::fill(captured_.calls.begin(), captured_.calls.end(), 1);
}

// Makes the first value of the cut a leaf, and keeps the cut where the tail is to run again.
void SplitRun::start_graph(Cut& cut) {
  auto first = cut.values.at(0).toTensor();
  if (!first.is_floating_point()) throw CannotSplit("its first target layer returns integers");
  // Another value of the cut may be the same memory, where a layer returns its input.
  bool aliased = false;
  for (size_t i = 1; i < cut.values.size(); ++i)
    for_each_tensor(cut.values[i], [&](const Tensor& t) { aliased |= t.defined() && t.is_alias_of(first); });
  first = aliased ? first.clone() : first.detach();
  if (context_.plan.needs_gradient()) first.requires_grad_();
  cut.values[0] = first;
  const auto* layers = context_.plan.explains<LayerMaps>();
  if (layers && (layers->concepts || layers->maps.reruns(Rerun::ablated))) {
    captured_.cut = {split_, copy_of(cut), channels_last_};
  }
  if (context_.plan.at_input()) captured_.input = first;
}

}  // namespace gradcam
