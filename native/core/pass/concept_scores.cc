#include "concept_scores.h"

#include "core/base/error.h"
#include "core/model/copy_inputs.h"
#include "core/targets/target_output.h"

namespace gradcam {

namespace {

[[noreturn]] void refuse(const std::string& layer, const std::string& why) {
  throw Error(
      "ERR_NOT_SPLITTABLE",
      "What follows layer '" + layer + "' cannot be run on a concept, which would give its scores: " + why + ".",
      Remedy{"Use the concepts without scores, or pick a layer from which all that follows is computed."});
}

// The layer's output, in its own shape, where every position of image k has the channels of concept k.
Tensor filled_with(const Tensor& concepts, const Tensor& like, const LayerDims& dims) {
  const bool images_first = dims.images < dims.channels;
  const auto ordered = images_first ? concepts : concepts.t();
  std::vector<int64_t> shape(static_cast<size_t>(like.dim()), 1);
  shape[static_cast<size_t>(dims.images)] = concepts.size(0);
  shape[static_cast<size_t>(dims.channels)] = concepts.size(1);
  auto sizes = like.sizes().vec();
  sizes[static_cast<size_t>(dims.images)] = concepts.size(0);
  return ordered.reshape(shape).expand(sizes).to(like.options()).contiguous();
}

}  // namespace

Tensor score_concepts(const RunContext& context, const Captured& captured, const std::string& why_hooked,
                      const Tensor& concepts, const PartPath& path, const CancelFlag* cancel) {
  const auto& goal = *context.plan.explains<LayerMaps>();
  const auto& layer = goal.layers.front();
  if (goal.maps.shape.kind == LayerShape::Kind::custom) refuse(layer, "the reshape function cannot be reversed");
  if (!captured.cut) refuse(layer, "the model did not run split, because " + why_hooked);
  const auto& values = captured.cut->cut.values;
  for (size_t i = 1; i < values.size(); ++i)
    for_each_tensor(values[i],
                    [&](const Tensor&) { refuse(layer, "the output also depends on what skips the layer"); });
  const auto filled = filled_with(concepts, values.front().toTensor(), layer_dims(goal.maps.shape));
  const auto batch = context.model.batch();
  const int64_t chunk = batch.allows(concepts.size(0)) ? concepts.size(0) : 1;
  if (!batch.allows(chunk)) refuse(layer, "the model takes a fixed number of images at a time");
  std::vector<Tensor> rows;
  try {
    for (const auto& some : filled.split(chunk, layer_dims(goal.maps.shape).images)) {
      Cut cut{{to_layout(some.clone(), captured.cut->channels_last)}};
      cut.values.insert(cut.values.end(), values.begin() + 1, values.end());
      const auto output = captured.cut->split->rerun_tail(std::move(cut), cancel);
      rows.push_back(output_tensor(output, path.empty() ? likely_part(output) : path).clone());
    }
  } catch (const Cancelled&) {
    throw;
  } catch (const std::exception& e) {
    if (is_out_of_memory(e)) throw;
    refuse(layer, concise_message(e));
  }
  auto scores = at::cat(rows);
  if (scores.dim() < 1 || scores.size(0) != concepts.size(0))
    refuse(layer, "the model did not return a row for each concept");
  return scores.detach();
}

}  // namespace gradcam
