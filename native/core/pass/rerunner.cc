#include "rerunner.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/model/copy_inputs.h"
#include "core/model/input_layout.h"
#include "core/rerun/ablation.h"
#include "core/rerun/masks.h"
#include "core/rerun/repeat.h"
#include "core/split/split_graph.h"
#include "execution.h"
#include "replace_output.h"

namespace gradcam {

namespace {

int64_t images_to_copy(const std::vector<IValue>& inputs, size_t input) {
  if (input < inputs.size() && inputs[input].isTensor() && inputs[input].toTensor().dim() > 0)
    return inputs[input].toTensor().size(0);
  throw Error("ERR_INVALID_ARGUMENT",
              "Methods that run the model again, on copies of the images, need an input that is a tensor [N, ...].");
}

void require_row_per_image(const Tensor& activation, int64_t images, const std::string& path) {
  if (activation.size(0) == images) return;
  throw Error("ERR_LAYER_OUTPUT",
              "Layer '" + path + "' returned " + std::to_string(activation.size(0)) + " rows for " +
                  std::to_string(images) + " images, so that its channels cannot be taken from one image at a time.",
              Remedy{"Pick "
                     "another layer, or a method that does not run the model again."});
}

std::vector<int64_t> all_twice(int64_t count) {
  std::vector<int64_t> images;
  for (int64_t i = 0; i < 2 * count; ++i) images.push_back(i % count);
  return images;
}

Tensor at_positions(const Tensor& scores, const std::vector<int64_t>& positions) {
  return scores.index_select(0, torch::tensor(positions, at::kLong).to(scores.device()));
}

// Runs with a split model in the layout that it runs in. Throws CannotSplit where it runs in none.
Tensor in_working_layout(SplitModel& split, const std::function<Tensor(bool channels_last)>& run) {
  for (;;) {
    try {
      return run(split.channels_last);
    } catch (const Cancelled&) {
      throw;
    } catch (const std::exception& e) {
      if (is_out_of_memory(e)) throw;
      if (!split.channels_last) throw CannotSplit(concise_message(e));
      split.channels_last = false;
    }
  }
}

bool masks_input(Rerun rerun) {
  return rerun == Rerun::masked || rerun == Rerun::faded_masks || rerun == Rerun::noisy_masks;
}

// As many copies as the channels of a layer take: a channel that changes nothing takes none.
int64_t most_copies(const Tensor& activation, const LayerDims& dims) {
  if (!activation.defined() || std::max(dims.images, dims.channels) >= activation.dim()) return 0;
  return activation.size(dims.images) * (activation.size(dims.channels) + 1);
}

// What `score` throws, for the methods that need its scores.
template <typename Score>
std::exception_ptr failure_of(Score score) {
  try {
    score();
  } catch (const std::exception& e) {
    if (!concerns_one_method(e)) throw;
    return std::current_exception();
  }
  return nullptr;
}

}  // namespace

Rerunner::Rerunner(const RunContext& context, const std::vector<IValue>& inputs, Captured& captured)
    : context_(context),
      goal_(*context.plan.explains<LayerMaps>()),
      input_size_(spatial_size(context.model, inputs, context.plan.input)),
      cut_(std::move(captured.cut)),
      calls_(captured.calls) {
  for (const auto& input : inputs)
    inputs_.push_back(copy_input(input, context.model.device(), /*channels_last=*/false));
}

// Split runs may run the head on all images twice, see score_ablated_tails.
bool Rerunner::runs_split() const {
  return context_.model.batch().allows(2 * images_to_copy(inputs_, context_.plan.input)) &&
         why_rerun_hooked(context_.plan, context_.model, inputs_).empty();
}

LayerEvidence LayerReruns::of(const LayerMethod& method) const {
  auto evidence = found;
  if (const auto scores = masked.find(method.rerun); scores != masked.end()) evidence.masked_scores = scores->second;
  return evidence;
}

std::vector<const LayerMethod*> Rerunner::methods_of_channels() const {
  std::vector<const LayerMethod*> found;
  for (const auto* method : goal_.maps.methods)
    if (method->rerun == Rerun::ablated || masks_input(method->rerun)) found.push_back(method);
  return found;
}

std::vector<LayerReruns> Rerunner::score_channels(const CopyScorer& scorer, const std::vector<Tensor>& activations) {
  const at::NoGradGuard no_graph;
  std::vector<LayerReruns> all(activations.size());
  const auto methods = methods_of_channels();
  const auto most = [&](const Tensor& activation, const LayerMethod& method) {
    const auto times =
        masks_input(method.rerun) && method.rerun != Rerun::masked ? goal_.maps.sampling(method).count : 1;
    return times * most_copies(activation, layer_dims(goal_.maps.shape));
  };
  auto own = scorer;
  for (const auto& activation : activations)
    for (const auto* method : methods) own.later += most(activation, *method);
  for (size_t i = 0; i < activations.size(); ++i) {
    auto& found = all[i];
    for (const auto* method : methods) {
      own.later -= most(activations[i], *method);
      found.missing[method->rerun] = failure_of([&] {
        if (method->rerun == Rerun::ablated)
          ablate_channels(own, i, activations[i], found);
        else
          mask_channels(own, i, activations[i], *method, found);
      });
    }
  }
  return all;
}

void Rerunner::require_one_call(size_t layer) const {
  if (calls_[layer] <= 1 || (goal_.call && (inputs_.size() == 1 || context_.plan.input_said))) return;
  throw Error("ERR_INVALID_ARGUMENT",
              "The forward pass calls layer '" + goal_.layers[layer] + "' " + std::to_string(calls_[layer]) +
                  " times, so it must be said which call a method that runs the model again explains (`call`)" +
                  (inputs_.size() > 1 ? ", and which input it changes (`input`)." : "."));
}

void Rerunner::ablate_channels(const CopyScorer& scorer, size_t layer, const Tensor& activation, LayerReruns& found) {
  require_one_call(layer);
  const auto images = images_to_copy(inputs_, context_.plan.input);
  const auto& path = goal_.layers[layer];
  require_row_per_image(
      channels_first(activation, goal_.maps.shape, input_size_, {path, context_.layer_objects[layer]}), images, path);
  // After a ReLU many channels are zero: setting them to zero changes nothing, so they need no run.
  const CopyPlan plan(nonzero_channels(activation, layer_dims(goal_.maps.shape)));
  const auto scores = score_ablated(scorer, plan.copies, layer, activation);
  found.found.score = at_positions(scores, plan.unchanged);  // from the same runs, so that rounding cancels
  found.found.ablated_scores = at_positions(scores, plan.by_channel).view({images, -1});
}

void Rerunner::mask_channels(const CopyScorer& scorer, size_t layer, const Tensor& activation,
                             const LayerMethod& method, LayerReruns& found) {
  require_one_call(layer);
  const auto images = images_to_copy(inputs_, context_.plan.input);
  const auto& path = goal_.layers[layer];
  const auto channels = at_least_float32(
      channels_first(activation, goal_.maps.shape, input_size_, {path, context_.layer_objects[layer]}));
  require_row_per_image(channels, images, path);
  if (input_size_.size() + 2 != static_cast<size_t>(channels.dim()))
    throw Error(
        "ERR_LAYER_OUTPUT",
        "The channels of layer '" + path +
            "' cannot be upsampled to masks of the model's input, which has another "
            "number of spatial dimensions.",
        Remedy{"Pick another layer, or another method; where the model has several inputs, say by `input` which one "
               "holds the images."});
  // A constant channel makes a mask of zeros: one run serves all of them.
  const auto flat = channels.flatten(2);
  const CopyPlan plan(flat.amax(-1).eq(flat.amin(-1)).logical_not());
  const auto versions = mask_versions(method.rerun, goal_.maps.sampling(method), goal_.maps.seed);
  const auto mean = score_masked(scorer, plan.copies, {channels, versions});
  found.masked[method.rerun] = at_positions(mean, plan.by_channel).view({images, -1});
}

// The scores with one channel of the layer set to zero in each copy. What comes before the layer runs once.
Tensor Rerunner::score_ablated(const CopyScorer& scorer, const Copies& copies, size_t layer, const Tensor& activation) {
  if (runs_split()) {
    try {
      return score_ablated_tails(scorer, copies, layer);
    } catch (const CannotSplit& e) {
      refuse_if_split_required(context_.plan, e.what());
    }
  }
  const auto dims = layer_dims(goal_.maps.shape);
  const auto images = images_to_copy(inputs_, context_.plan.input);
  return scorer.scores(copies, [&](const Copies& some) {
    const auto call = goal_.call.value_or(std::max<int64_t>(calls_[layer], 1) - 1);
    ReplaceOutput replace(context_.layer_objects[layer], goal_.layers[layer], ablate(activation, dims, some),
                          goal_.part, call);
    return context_.model.run_and_restore(inputs_of(inputs_, images, images_of(some)), &replace, scorer.cancel);
  });
}

Tensor Rerunner::score_ablated_tails(const CopyScorer& scorer, const Copies& copies, size_t layer) {
  const auto images = images_to_copy(inputs_, context_.plan.input);
  const auto dims = layer_dims(goal_.maps.shape);
  const bool cut_here = cut_ && cut_->split->first_layer() == layer;
  const auto split =
      cut_here ? cut_->split : context_.model.split({{goal_.layers[layer]}, false, context_.plan.head_dtype});
  return in_working_layout(*split, [&](bool channels_last) {
    const auto head = [&](const std::vector<IValue>& inputs) {
      std::vector<IValue> own;
      for (const auto& input : inputs) own.push_back(copy_input(input, context_.model.device(), channels_last));
      return split->run_head(std::move(own), scorer.cancel);
    };
    const auto once = cut_here ? cut_->cut : head(inputs_);
    // The other values of the cut are needed for every copy: a second run of the head, on twice the images, tells which
    // of their dimensions is the batch.
    const auto twice = once.values.size() > 1 ? head(inputs_of(inputs_, images, all_twice(images))) : once;
    return scorer.scores(copies, [&](const Copies& some) {
      Cut cut{{ablate(once.values[0].toTensor(), dims, some)}};
      for (size_t i = 1; i < once.values.size(); ++i)
        cut.values.push_back(value_of(once.values[i], twice.values[i], images, images_of(some)));
      return split->rerun_tail(std::move(cut), scorer.cancel);
    });
  });
}

// The mean score of the first input under the versions of the masks that channels make.
Tensor Rerunner::score_masked(const CopyScorer& scorer, const Copies& copies, const MaskPlan& plan) {
  if (!inputs_.at(context_.plan.input).toTensor().is_floating_point())
    throw Error("ERR_INVALID_ARGUMENT", "Score-CAM and its kin mask the input, which must be a floating-point tensor.");
  if (runs_split()) {
    try {
      return score_masked_split(scorer, copies, plan);
    } catch (const CannotSplit& e) {
      refuse_if_split_required(context_.plan, e.what());
    }
  }
  return scorer.mean_scores(copies, plan.versions.size(), [&](const Copies& some) {
    return each_version(some, plan, /*channels_last=*/false, [&](std::vector<IValue> inputs) {
      return context_.model.run_and_restore(std::move(inputs), nullptr, scorer.cancel);
    });
  });
}

Tensor Rerunner::score_masked_split(const CopyScorer& scorer, const Copies& copies, const MaskPlan& plan) {
  // Only the head computes in a reduced precision, so that the tail must be a part of its own.
  const bool in_parts = context_.plan.head_dtype.has_value();
  const auto split = context_.model.split(in_parts ? context_.plan.split_plan() : SplitPlan{});
  return in_working_layout(*split, [&](bool channels_last) {
    return scorer.mean_scores(copies, plan.versions.size(), [&](const Copies& some) {
      return each_version(some, plan, channels_last, [&](std::vector<IValue> inputs) {
        auto cut = split->run_head(std::move(inputs), scorer.cancel);
        return in_parts ? split->rerun_tail(std::move(cut), scorer.cancel) : cut.values.front();
      });
    });
  });
}

// Masks are made for each chunk of copies, since those of all channels at once would take a copy of the input for each;
// once for all versions of them, of which the result runs one after another.
RunVersion Rerunner::each_version(const Copies& some, const MaskPlan& plan, bool channels_last,
                                  const std::function<IValue(std::vector<IValue>)>& run) const {
  const auto masks = channel_masks(plan.channels, some, input_size_);
  return [this, masks, images = images_of(some), &plan, channels_last, run](size_t version) {
    auto inputs = inputs_of(inputs_, images_to_copy(inputs_, context_.plan.input), images);
    auto input = inputs.at(context_.plan.input).toTensor();
    auto own = masks_of_version(masks, plan.versions[version]);
    if (has_channels_last(context_.model, input.sizes(), context_.plan.input)) own = own.permute({0, 2, 3, 1});
    inputs.at(context_.plan.input) = input.mul_(own.to(input.options()));
    for (auto& each : inputs) each = to_layout(each, channels_last);
    return run(std::move(inputs));
  };
}

}  // namespace gradcam
