// The half of Pass that runs a split model.
#include "core/base/error.h"
#include "core/model/copy_inputs.h"
#include "core/split/split_graph.h"
#include "pass.h"

namespace gradcam {

// oneDNN's convolutions make zeros of NaN where a ReLU is part of them.
bool Pass::hides_not_finite(const std::vector<IValue>& inputs) const {
  return model_->device().is_cpu() && !all_finite(inputs);
}

SplitPlan Pass::split_plan() const { return {plan_.layers, plan_.input_gradient, plan_.head_dtype}; }

// The split model that serves this pass, or none, with the reason in `why_hooked_`.
std::shared_ptr<SplitModel> Pass::find_split(const std::vector<IValue>& inputs) {
  why_hooked_.clear();
  if (plan_.execution != Execution::hooked && hides_not_finite(inputs)) {
    why_hooked_ = "the input holds NaN or an infinity, which operators of the split model would hide";
    refuse_hooked(why_hooked_);
    return nullptr;
  }
  if (plan_.execution == Execution::hooked)
    why_hooked_ = "it was asked for";
  else if (plan_.full_grad)
    why_hooked_ = "every layer with a bias is looked at";
  else if (plan_.baseline.defined())
    why_hooked_ = "DeepLIFT looks at every operator";
  else if (plan_.input_gradient && plan_.execution == Execution::automatic)
    why_hooked_ = "at the input, other rounding would flip some gates of ReLUs";
  else if (plan_.guided == ReluScope::modules)
    why_hooked_ = "only hooks tell ReLU modules from functional ones";
  else if (model_->hooks().has_hooks())
    why_hooked_ = "hooks are registered on the model";
  if (plan_.execution == Execution::automatic && !plan_.head_dtype)
    for (const auto* method : plan_.maps.methods)
      if (method->amplifies_rounding) why_hooked_ = std::string(method->name) + " would amplify other rounding";
  if (why_hooked_.empty()) {
    try {
      return model_->split(split_plan());
    } catch (const CannotSplit& e) {
      why_hooked_ = e.what();
    }
  }
  refuse_hooked(why_hooked_);
  return nullptr;
}

void Pass::refuse_hooked(const std::string& why) const {
  if (plan_.execution == Execution::split || plan_.head_dtype)
    throw Error("ERR_NOT_SPLITTABLE",
                "The model cannot be split at its target layers, which a reduced precision and "
                "execution 'split' need: " +
                    why + ". Leave both options out, or pick another layer.");
}

void Pass::give_up_split() {
  model_->give_up_split(split_plan(), why_hooked_);
  refuse_hooked(why_hooked_);
}

// False where the split does not run with inputs that the model itself may well accept; the hooked run decides.
bool Pass::try_split(const std::shared_ptr<SplitModel>& split, const std::vector<IValue>& inputs,
                     const CancelFlag* cancel) {
  std::vector<bool> layouts{false};
  if (split->channels_last) layouts.insert(layouts.begin(), true);
  for (const bool channels_last : layouts) {
    try {
      forward_split(split, inputs, channels_last, cancel);
      split->channels_last = channels_last;
      why_hooked_.clear();
      return true;
    } catch (const Cancelled&) {
      throw;
    } catch (const std::exception& e) {
      if (is_out_of_memory(e)) throw;
      release();
      why_hooked_ = concise_message(e);
    }
  }
  return false;
}

void Pass::forward_split(const std::shared_ptr<SplitModel>& split, const std::vector<IValue>& inputs,
                         bool channels_last, const CancelFlag* cancel) {
  std::vector<IValue> own;
  for (const auto& input : inputs) own.push_back(copy_input(input, model_->device(), channels_last));
  auto cut = split->run_head(std::move(own), cancel);
  if (cancel) cancel->check();
  if (plan_.scores_only) {
    output_ = std::move(cut.values.at(0));
    return;
  }
  auto first = cut.values.at(0).toTensor();
  if (!first.is_floating_point()) throw CannotSplit("its first target layer returns integers");
  // What else lives across the cut may be the same memory, where a layer returns its input.
  bool aliased = false;
  for (size_t i = 1; i < cut.values.size(); ++i)
    for_each_tensor(cut.values[i], [&](const Tensor& t) { aliased |= t.defined() && t.is_alias_of(first); });
  first = aliased ? first.clone() : first.detach();
  if (needs_gradient()) first.requires_grad_();
  cut.values[0] = first;
  if (plan_.maps.reruns(Rerun::ablated)) {
    // The tail may change what lives across the cut, and lists grow.
    kept_cut_ = {split, cut};
    for (auto& value : kept_cut_->cut.values)
      value = map_tensors(value, [](const Tensor& t) { return t.detach().clone(); });
  }
  auto result = split->run_tail(cut, cancel);
  for (const auto& activation : result.activations)
    if (needs_gradient() && !activation.requires_grad())
      throw CannotSplit("one of its target layers does not depend on the first");
  output_ = std::move(result.output);
  activations_ = std::move(result.activations);
  if (plan_.input_gradient) input_ = first;
}

}  // namespace gradcam
