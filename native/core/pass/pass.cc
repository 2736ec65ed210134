#include "pass.h"

#include <algorithm>
#include <numeric>

#include "attention_run.h"
#include "concept_scores.h"
#include "core/autograd/attention.h"
#include "core/base/error.h"
#include "core/model/input_layout.h"
#include "core/split/image_parts.h"
#include "core/targets/target_output.h"
#include "elsewhere.h"
#include "execution.h"
#include "full_grad_run.h"
#include "hooked_run.h"
#include "method_results.h"
#include "relevance_run.h"
#include "rescale_run.h"
#include "row_probe.h"
#include "split_run.h"

namespace gradcam {

namespace {

std::unique_ptr<Run> make_unsplit_run(const RunContext& context) {
  if (context.plan.rescaled_from().defined()) return std::make_unique<RescaleRun>(context);
  if (context.plan.explains<Relevance>()) return std::make_unique<RelevanceRun>(context);
  if (context.plan.explains<FullGradient>()) return std::make_unique<FullGradRun>(context);
  if (context.plan.explains<AttentionGradients>()) return std::make_unique<AttentionRun>(context);
  return std::make_unique<HookedRun>(context);
}

void require_differentiable(const std::vector<IValue>& inputs, size_t input) {
  const bool is_tensor = input < inputs.size() && inputs[input].isTensor();
  if (is_tensor && inputs[input].toTensor().is_floating_point()) return;
  throw Error(
      "ERR_INVALID_ARGUMENT",
      "The gradient at the input needs input " + std::to_string(input) + " to be a floating-point tensor.",
      Remedy{is_tensor ? "Explain a layer after the one that makes floating-point numbers of it, or use a method "
                         "that changes the input, e.g. occlusion."
                       : "Explain a layer, or export a model that takes the images as an input of their own."});
}

// The rows of what a class is taken from; none where that is not a tensor.
std::optional<int64_t> rows_of_output(const IValue& output) {
  if (!output.isTensor() || !output.toTensor().defined() || output.toTensor().dim() < 1) return std::nullopt;
  return output.toTensor().size(0);
}

// A model that ends in softmax or sigmoid gives probabilities already.
Target for_ending(Target target, Ending ending) {
  if (target.score == Target::Score::probability && (ending == Ending::softmax || ending == Ending::sigmoid))
    target.score = Target::Score::logit;
  return target;
}

}  // namespace

Pass::Pass(std::shared_ptr<Model> model, PassPlan plan)
    : Pass(model, plan, [&] {
        std::vector<ModuleId> objects;
        for (const auto& path : plan.layers()) objects.push_back(model->module_at(path));
        if (plan.score_layer) model->module_at(*plan.score_layer);
        return objects;
      }()) {}

Pass::Pass(std::shared_ptr<Model> model, PassPlan plan, std::vector<ModuleId> layer_objects)
    : model_(std::move(model)), plan_(with_own_baseline(std::move(plan))), layer_objects_(std::move(layer_objects)) {}

std::shared_ptr<Pass> Pass::fork() const { return std::shared_ptr<Pass>(new Pass(model_, plan_, layer_objects_)); }

void Pass::release() {
  rerunner_.reset();
  run_.reset();
  input_size_.clear();
  images_.reset();
}

const IValue& Pass::forward(std::vector<IValue> inputs, const CancelFlag* cancel) {
  release();
  convert_inputs(model_->contract(), model_->dtype(), inputs);
  check_inputs(model_->contract(), inputs);
  if (plan_.at_input()) require_differentiable(inputs, plan_.input);
  const at::AutoGradMode with_graph(plan_.needs_gradient());
  std::unique_ptr<Run> run;
  try {
    run = run_forward(inputs, cancel);
  } catch (const std::exception& error) {
    refuse_batch(inputs, error, cancel);
    throw;
  }
  if (plan_.reruns()) rerunner_ = std::make_unique<Rerunner>(context(), inputs, run->captured());
  input_size_ = spatial_size(*model_, inputs, plan_.input);
  run_ = std::move(run);
  count_images(inputs);
  if (images_.value_or(1) > 1 && !model_->rows) probe_batch(inputs, cancel);
  return run_->returned();
}

// Throws where the model does not run on these images together, but on one of them.
void Pass::refuse_batch(const std::vector<IValue>& inputs, const std::exception& error, const CancelFlag* cancel) {
  const auto images = image_count(inputs, plan_.input).value_or(1);
  if (images < 2 || !may_run_in_parts(error) || is_out_of_memory(error) || dynamic_cast<const Error*>(&error)) return;
  const auto text = concise_message(error);
  probe_batch(inputs, cancel);
  if (!model_->rows || model_->rows->independent || !model_->rows->alone || !model_->rows->two.isNone()) return;
  throw Error(kBatchSize, "The model runs on one image, but not on " + std::to_string(images) + " together: " + text,
              Remedy{"Give it one image at a time, or export it with a batch of any size."}, {{"images", images}});
}

// Several images of the caller's are explained together in any case; the result then says whether they depend on each
// other.
void Pass::probe_batch(const std::vector<IValue>& inputs, const CancelFlag* cancel) {
  try {
    probe(inputs, cancel);
  } catch (const Cancelled&) {
    throw;
  } catch (const std::exception&) {
    // It is not known, then.
  }
}

// One image without a dimension for the batch, [C, H, W], is one image for a model that returns one row for it.
void Pass::count_images(const std::vector<IValue>& inputs) {
  images_ = image_count(inputs, plan_.input);
  if (!images_ || inputs[plan_.input].toTensor().dim() != 3) return;
  const bool may_be_channels = *images_ == 3 || *images_ == 4;
  if (may_be_channels && rows_of_output(run_->returned()) == 1) images_ = 1;
}

const RowsFound& Pass::probe(const std::vector<IValue>& inputs, const CancelFlag* cancel) const {
  return probe_rows(*model_, inputs, plan_.input, cancel);
}

std::unique_ptr<Run> Pass::run_forward(const std::vector<IValue>& inputs, const CancelFlag* cancel) {
  const auto* layers = plan_.explains<LayerMaps>();
  const AttentionByFormula attention((layers && layers->maps.needs() == Needs::curvature) ||
                                     plan_.explains<AttentionGradients>());
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

std::optional<int64_t> Pass::images_at_once(const std::vector<IValue>& inputs, const Target& target) const {
  constexpr int64_t kUsual = 8;
  const auto* layers = plan_.explains<LayerMaps>();
  const bool of_one_run = !plan_.reruns() && !(layers && (layers->concepts || layers->replaced));
  const bool images_first = plan_.input == 0 && target.image_dim == 0 && !inputs.empty();
  if (!plan_.needs_gradient() || !of_one_run || !images_first) return {};
  const auto& given = inputs.front();
  if (!given.isTensor() || given.toTensor().dim() != 4 || given.toTensor().size(0) < 2) return {};
  const auto most = images_of_part(given.toTensor(), kUsual);
  if (most == given.toTensor().size(0)) return {};
  try {
    const auto split = choose_execution(plan_, *model_, inputs).split;
    return split && split->records_in_parts() ? std::optional(most) : std::nullopt;
  } catch (const Error&) {
    return {};  // which the forward throws after its checks of the inputs
  }
}

Run& Pass::finished_run() const {
  if (!run_) throw Error("ERR_NO_FORWARD", "There is nothing to explain yet: call forward(input) first.");
  return *run_;
}

// A batch that has as many images as a sequence has steps looks right whichever of the two comes first: what the model
// returned for one image and for two tells them apart.
void Pass::require_image_dimension(const Target& target) const {
  if (plan_.score_layer || !model_->rows || images_.value_or(1) < 2 || target.score == Target::Score::box) return;
  const auto& output = run_->output();
  const auto path = target.path.empty() ? likely_part(output) : target.path;
  const auto found = image_dimension(*model_->rows, path);
  if (!found || *found == target.image_dim) return;
  const auto part = part_at(output, path);
  const auto shape = part && part->isTensor() ? shape_text(part->toTensor()) : "";
  throw Error("ERR_TARGET",
              "Dimension " + std::to_string(*found) + " of what the model returned, " + shape +
                  ", counts the images, as runs on one image and on two show, and not dimension " +
                  std::to_string(target.image_dim) + ".",
              Remedy{"Say so in the target: { kind, ..., imageDim: " + std::to_string(*found) + " }."});
}

// A method of activations alone needs no score, so that an output of any shape will do where no target was given.
ResolvedTarget Pass::resolve(const Target& target) const {
  const bool needs_score = plan_.needs_gradient() || plan_.reruns() || plan_.explains<ScoresOnly>();
  const auto& output = finished_run().output();
  try {
    require_image_dimension(target);
    return resolve_target(output, target, images_);
  } catch (const Error& error) {
    if (plan_.score_layer)
      throw Error(error.code(), "The score is of what layer '" + *plan_.score_layer + "' returned: " + error.problem(),
                  Remedy{error.remedy()}, error.details());
    if (needs_score || !target.is_default() || error.code() != "ERR_TARGET") throw;
    ResolvedTarget none;
    none.scores = at::empty({0}, at::kDouble);
    return none;
  }
}

Explained Pass::backward(const Target& given, bool keep_graph, const CancelFlag* cancel) {
  const auto& run = finished_run();
  const auto target = plan_.score_layer ? given : for_ending(given, model_->code().ending);
  const at::AutoGradMode with_graph(true);
  auto resolved = resolve(target);
  const auto* attention = plan_.explains<AttentionGradients>();
  const bool by_block = attention && !attention->blocks.empty();
  auto explained = by_block ? Explained{} : run.differentiate(resolved.scores.sum(), keep_graph);
  if (by_block) explained.attention = attention_by_block(target, resolved, cancel);
  resolved.scores = resolved.scores.detach();
  explained.scores = resolved.scores.to(at::kCPU, at::kDouble);
  const auto* layers = plan_.explains<LayerMaps>();
  const bool compared = layers && layers->rescaled_from.defined() && !layers->maps.methods.empty();
  make_maps(explained, compared ? take_comparison(explained) : run_again(target, resolved, explained, cancel));
  factorize_layer(explained, target, cancel);
  explained.classes = std::move(resolved.classes);
  explained.of = std::move(resolved.path);
  explained.rows = model_->rows;
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
  if (const auto* attention = plan_.explains<AttentionGradients>(); attention && !attention->blocks.empty())
    throw Error("ERR_TARGET",
                "LeGrad needs a score of each block, which a target that is a function of one output cannot give.",
                Remedy{"Give a class, or a target as plain data."});
  auto explained = run.differentiate(score.sum(), keep_graph);
  make_maps(explained, {});
  explained.scores = score.detach().reshape({1}).to(at::kCPU, at::kDouble);
  return explained;
}

std::vector<LayerReruns> Pass::run_again(const Target& target, const ResolvedTarget& resolved,
                                         const Explained& explained, const CancelFlag* cancel) const {
  if (!rerunner_) return {};
  std::vector<Tensor> activations;
  for (const auto& layer : explained.layers) activations.push_back(layer.activation);
  const auto batch = model_->batch();
  auto chunk = std::min(plan_.explains<LayerMaps>()->maps.chunk_size, batch.max);
  auto least = batch.min;
  if (const auto images = images_.value_or(1); chunk > 1 || images > 1) {
    const auto& rows = probe_rows(*model_, rerunner_->inputs(), plan_.input, cancel);
    if (rows.mixed)
      throw Error(kBatchSize,
                  "The method runs copies of an image, but the model does not run on one alone, and " + rows.why,
                  Remedy{"Use a method that runs the model once, or export it with a batch of any size."});
    if (!rows.alone)
      chunk = least = images;  // as many as it was seen to run on
    else if (!rows.independent)
      chunk = 1;
  }
  auto reruns = rerunner_->score_channels({target, resolved, chunk, least, cancel}, activations);
  std::vector<int64_t> images(resolved.classes.size());
  std::iota(images.begin(), images.end(), 0);
  differentiate_elsewhere(model_, plan_, rerunner_->inputs(), target_of_copies(target, resolved, images),
                          explained.layers, cancel, reruns);
  return reruns;
}

std::vector<AttentionResult> Pass::attention_by_block(const Target& target, const ResolvedTarget& resolved,
                                                      const CancelFlag* cancel) const {
  std::vector<int64_t> images(resolved.classes.size());
  std::iota(images.begin(), images.end(), 0);
  // What a block alone would be taken for does not matter: its score is of the same class.
  const auto same = target_of_copies(target, resolved, images);
  const auto score_of = [&](const IValue& output) { return resolve_target(output, same, images_).scores.sum(); };
  return static_cast<const AttentionRun&>(finished_run()).by_block(score_of, cancel);
}

void Pass::factorize_layer(Explained& explained, const Target& target, const CancelFlag* cancel) const {
  const auto* goal = plan_.explains<LayerMaps>();
  if (!goal || !goal->concepts) return;
  const at::NoGradGuard no_graph;
  const auto& path = goal->layers.front();
  LayerEvidence evidence;
  evidence.activation = explained.layers.front().activation;
  evidence = shaped_evidence(goal->maps, std::move(evidence), {path, layer_objects_.front()}, input_size_);
  FactorsFound found{factorize(evidence.activation, *goal->concepts, path, cancel), {}, nullptr};
  try {
    found.scores =
        score_concepts(context(), finished_run().captured(), why_hooked_, found.factors.concepts, target.path, cancel);
  } catch (const Error&) {
    found.no_scores = std::current_exception();
  }
  explained.factors = std::move(found);
}

void Pass::make_maps(Explained& explained, const std::vector<LayerReruns>& reruns) const {
  const auto* goal = plan_.explains<LayerMaps>();
  if (!goal || goal->maps.methods.empty()) return;
  const at::NoGradGuard no_graph;
  MethodResults results(goal->maps);
  for (size_t i = 0; i < explained.layers.size(); ++i) {
    auto& layer = explained.layers[i];
    layer.calls = finished_run().calls(i);
    const auto again = reruns.empty() ? LayerReruns{} : reruns[i];
    const auto& path = goal->layers[i];
    const auto shape = [&](LayerEvidence evidence) {
      evidence.activation = layer.activation;
      evidence.gradient = layer.gradient;
      evidence.curvature = layer.curvature;
      evidence.seed = goal->maps.seed + i;
      return shaped_evidence(goal->maps, std::move(evidence), {path, layer_objects_[i]}, input_size_);
    };
    const auto evidence = shape(again.found);
    if (evidence.gradient.defined() && goal->maps.averages_gradient())
      layer.cancelled_gradient = cancelled_over_space(evidence.gradient, layer.gradient.scalar_type());
    results.add_layer([&](const LayerMethod& method) {
      rethrow_missing(method, explained, again);
      auto own = evidence;
      own.masked_scores = again.of(method).masked_scores;
      auto map = layer_map(goal->maps, method, own, path, input_size_);
      require_rows(map.map.size(0), images_, "Layer '" + path + "'", "ERR_LAYER_OUTPUT",
                   "It sees several parts of each image, so that one map cannot be made of it. Pick a layer before or "
                   "after that.");
      map.same_scores = same_scores(method.rerun == Rerun::ablated ? own.ablated_scores : own.masked_scores,
                                    explained.scores, layer.activation.scalar_type());
      return map;
    });
  }
  results.finish(explained);
  for (const auto& by_layer : explained.maps)
    if (!by_layer.empty()) return say_why_maps_are_empty(explained, by_layer.front().map.size(0));
}

}  // namespace gradcam
