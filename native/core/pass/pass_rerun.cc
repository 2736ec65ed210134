// The part of Pass that runs its model again, once per channel, for methods that ask what a change does to the score.
#include "core/base/error.h"
#include "core/model/copy_inputs.h"
#include "core/rerun/ablation.h"
#include "core/rerun/masks.h"
#include "core/rerun/repeat.h"
#include "core/split/split_graph.h"
#include "pass.h"

namespace gradcam {

namespace {

// Puts another value in the place of what a layer returns at its last call, which is the one that is explained.
class ReplaceOutput : public CallObserver {
 public:
  ReplaceOutput(ModuleId layer, int64_t calls, Tensor value) : layer_(layer), left_(calls), value_(std::move(value)) {}

  bool observes(ModuleId object, const c10::ClassType&) const override { return object == layer_; }
  void after(ModuleId, const c10::ClassType&, const Inputs&, IValue& output) override {
    if (--left_ == 0) output = value_;
  }

 private:
  ModuleId layer_;
  int64_t left_;
  Tensor value_;
};

int64_t image_count(const std::vector<IValue>& inputs) {
  if (!inputs.empty() && inputs.front().isTensor() && inputs.front().toTensor().dim() > 0)
    return inputs.front().toTensor().size(0);
  throw Error(
      "ERR_INVALID_ARGUMENT",
      "Methods that run the model again, on copies of the images, need a first input that is a tensor [N, ...].");
}

void check_images(const Tensor& activation, int64_t dim, int64_t images, const std::string& path) {
  if (activation.size(dim) == images) return;
  throw Error("ERR_LAYER_OUTPUT", "Layer '" + path + "' returned " + std::to_string(activation.size(dim)) +
                                      " rows for " + std::to_string(images) +
                                      " images, so that its channels cannot be taken from one image at a time. Pick "
                                      "another layer, or a method that does not run the model again.");
}

std::vector<int64_t> all_twice(int64_t count) {
  std::vector<int64_t> images;
  for (int64_t i = 0; i < 2 * count; ++i) images.push_back(i % count);
  return images;
}

Tensor at_positions(const Tensor& scores, const std::vector<int64_t>& positions) {
  return scores.index_select(0, torch::tensor(positions, at::kLong).to(scores.device()));
}

}  // namespace

void Pass::keep_for_rerun(const std::vector<IValue>& inputs) {
  for (const auto& input : inputs) kept_inputs_.push_back(copy_input(input, model_->device(), /*channels_last=*/false));
}

bool Pass::reruns_split() const {
  return plan_.execution != Execution::hooked && !model_->hooks().has_hooks() && !hides_not_finite(kept_inputs_);
}

std::vector<Pass::ChannelScores> Pass::score_channels(const CopyScorer& scorer, const Explained& explained) {
  std::vector<ChannelScores> all;
  if (!runs_again()) return all;
  const at::NoGradGuard no_graph;
  const auto images = image_count(kept_inputs_);
  const auto dims = layer_dims(plan_.maps.shape);
  for (size_t i = 0; i < explained.layers.size(); ++i) {
    const auto& activation = explained.layers[i].activation;
    const auto& path = plan_.layers[i];
    const auto places = at_least_float32(channels_first(activation, plan_.maps.shape, input_size_, path));
    check_images(places, 0, images, path);
    auto& found = all.emplace_back();
    if (plan_.maps.reruns(Rerun::ablated)) {
      // After a ReLU many channels are zero, and zeros in their place change nothing: they need no run.
      const CopyPlan plan(nonzero_channels(activation, dims));
      const auto scores = score_ablated(scorer, plan.copies, i, activation);
      found.score = at_positions(scores, plan.unchanged);  // from the same runs, so that rounding cancels
      found.ablated = at_positions(scores, plan.by_channel).view({images, -1});
    }
    if (plan_.maps.reruns(Rerun::masked)) {
      if (input_size_.size() + 2 != static_cast<size_t>(places.dim()))
        throw Error("ERR_LAYER_OUTPUT",
                    "The channels of layer '" + path +
                        "' cannot be enlarged to masks of the model's input, which has another number "
                        "of spatial dimensions. Pick another layer, or another method.");
      // A constant channel makes a mask of zeros: one run serves all of them.
      const auto flat = places.flatten(2);
      const CopyPlan plan(flat.amax(-1).eq(flat.amin(-1)).logical_not());
      found.masked = at_positions(score_masked(scorer, plan.copies, places), plan.by_channel).view({images, -1});
    }
  }
  return all;
}

// Runs with a split model in the layout that it runs in. Throws CannotSplit where it runs in none.
Tensor Pass::score_split(const std::shared_ptr<SplitModel>& split,
                         const std::function<Tensor(bool channels_last)>& run) const {
  for (;;) {
    try {
      return run(split->channels_last);
    } catch (const Cancelled&) {
      throw;
    } catch (const std::exception& e) {
      if (is_out_of_memory(e)) throw;
      if (!split->channels_last) throw CannotSplit(concise_message(e));
      split->channels_last = false;
    }
  }
}

// The score with zeros in the place of channels. What comes before the layer runs once.
Tensor Pass::score_ablated(const CopyScorer& scorer, const Copies& copies, size_t layer, const Tensor& activation) {
  if (reruns_split()) {
    try {
      return score_ablated_tails(scorer, copies, layer);
    } catch (const CannotSplit& e) {
      refuse_hooked(e.what());
    }
  }
  const auto dims = layer_dims(plan_.maps.shape);
  const auto images = image_count(kept_inputs_);
  return scorer.scores(copies, [&](const Copies& some) {
    ReplaceOutput replace(layer_objects_[layer], std::max<int64_t>(calls_[layer], 1), ablate(activation, dims, some));
    return model_->run(inputs_of(kept_inputs_, images, images_of(some)), &replace, scorer.cancel);
  });
}

Tensor Pass::score_ablated_tails(const CopyScorer& scorer, const Copies& copies, size_t layer) {
  const auto images = image_count(kept_inputs_);
  const auto dims = layer_dims(plan_.maps.shape);
  const bool cut_here = kept_cut_ && kept_cut_->split->first_layer() == layer;
  const auto split = cut_here ? kept_cut_->split : model_->split({{plan_.layers[layer]}, false, plan_.head_dtype});
  return score_split(split, [&](bool channels_last) {
    const auto head = [&](const std::vector<IValue>& inputs) {
      std::vector<IValue> own;
      for (const auto& input : inputs) own.push_back(copy_input(input, model_->device(), channels_last));
      return split->run_head(std::move(own), scorer.cancel);
    };
    const auto once = cut_here ? kept_cut_->cut : head(kept_inputs_);
    // What else lives across the cut has to be given for every copy: a second run tells what of it counts images.
    const auto twice = once.values.size() > 1 ? head(inputs_of(kept_inputs_, images, all_twice(images))) : once;
    return scorer.scores(copies, [&](const Copies& some) {
      Cut cut{{ablate(once.values[0].toTensor(), dims, some)}};
      for (size_t i = 1; i < once.values.size(); ++i)
        cut.values.push_back(value_of(once.values[i], twice.values[i], images, images_of(some)));
      return split->rerun_tail(std::move(cut), scorer.cancel);
    });
  });
}

// The score of the first input under the masks that channels make.
Tensor Pass::score_masked(const CopyScorer& scorer, const Copies& copies, const Tensor& activation) {
  const auto images = image_count(kept_inputs_);
  if (!kept_inputs_.front().toTensor().is_floating_point())
    throw Error("ERR_INVALID_ARGUMENT", "Score-CAM masks the first input, which must be a floating-point tensor.");
  // The masks are made as they are needed: all of them would take a copy of the input for each channel.
  const auto masked = [&](const Copies& some, bool channels_last) {
    auto inputs = inputs_of(kept_inputs_, images, images_of(some));
    auto input = inputs.front().toTensor();
    inputs.front() = input.mul_(channel_masks(activation, some, input_size_).to(input.options()));
    for (auto& each : inputs) each = to_layout(each, channels_last);
    return inputs;
  };
  if (reruns_split()) {
    try {
      // A reduced precision is that of the head alone, so that the tail must be another part.
      const bool in_parts = plan_.head_dtype.has_value();
      const auto split = model_->split(in_parts ? split_plan() : SplitPlan{});
      return score_split(split, [&](bool channels_last) {
        return scorer.scores(copies, [&](const Copies& some) {
          auto cut = split->run_head(masked(some, channels_last), scorer.cancel);
          return in_parts ? split->rerun_tail(std::move(cut), scorer.cancel) : cut.values.front();
        });
      });
    } catch (const CannotSplit& e) {
      refuse_hooked(e.what());
    }
  }
  return scorer.scores(copies,
                       [&](const Copies& some) { return model_->run(masked(some, false), nullptr, scorer.cancel); });
}

}  // namespace gradcam
