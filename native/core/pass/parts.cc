#include "parts.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/base/error.h"
#include "core/rerun/repeat.h"

namespace gradcam {

namespace {

ExplainedPass explain_at_once(const Pass& pass, const std::vector<IValue>& inputs, const Target& target,
                              const CancelFlag& cancel) {
  const auto own = pass.fork();
  const auto& output = own->forward(inputs, &cancel);
  cancel.check();
  ExplainedPass result{map_tensors(output, [](const Tensor& t) { return t.detach(); }), own->intercepted(),
                       own->why_hooked(), own->backward(target, /*keep_graph=*/false, &cancel)};
  for (auto& layer : result.explained.layers) layer.activation = layer.gradient = Tensor();
  return result;
}

// Tensors one after the other, the first `rows` of them: those of no image are left out.
Tensor joined(const std::vector<Tensor>& parts, int64_t rows) {
  if (!parts.front().defined() || parts.front().dim() == 0) return parts.front();
  const auto all = at::cat(parts);
  return all.size(0) > rows ? all.narrow(0, 0, rows) : all;
}

// Values of one structure, with their tensors joined.
IValue joined_values(const std::vector<IValue>& parts, int64_t rows) {
  std::vector<std::vector<Tensor>> tensors;
  for (const auto& part : parts) {
    tensors.emplace_back();
    for_each_tensor(part, [&](const Tensor& t) { tensors.back().push_back(t); });
  }
  size_t next = 0;
  return map_tensors(parts.front(), [&](const Tensor&) {
    std::vector<Tensor> same;
    for (const auto& each : tensors) same.push_back(each.at(next));
    ++next;
    return joined(same, rows);
  });
}

template <typename Get>
Tensor joined_of(const std::vector<ExplainedPass>& parts, int64_t rows, Get get) {
  std::vector<Tensor> tensors;
  for (const auto& part : parts) tensors.push_back(get(part.explained));
  return joined(tensors, rows);
}

using Flags = std::vector<bool>;

// Of the map of a method, which has flags in every part or in none.
Flags joined_map_flags(const std::vector<ExplainedPass>& parts, size_t rows, std::pair<size_t, size_t> method_and_map,
                       Flags MethodMap::* which) {
  const auto [method, map] = method_and_map;
  Flags joined;
  for (const auto& part : parts) {
    const auto& flags = part.explained.maps.at(method).at(map).*which;
    joined.insert(joined.end(), flags.begin(), flags.end());
  }
  joined.resize(std::min(joined.size(), rows));
  return joined;
}

// Of a layer, which has flags only in those parts where one may be true. All parts but the last are of `most` images.
Flags joined_layer_flags(const std::vector<ExplainedPass>& parts, const std::pair<size_t, size_t>& rows_and_most,
                         size_t layer, Flags LayerResult::* which) {
  const auto [rows, most] = rows_and_most;
  Flags joined(rows, false);
  bool found = false;
  for (size_t p = 0; p < parts.size(); ++p) {
    const auto& flags = parts[p].explained.layers.at(layer).*which;
    found |= !flags.empty();
    for (size_t i = 0; i < flags.size() && p * most + i < rows; ++i) joined[p * most + i] = flags[i];
  }
  return found ? joined : Flags();
}

ExplainedPass join(std::vector<ExplainedPass> parts, int64_t images, int64_t most) {
  if (parts.size() > 1 && parts.front().explained.factors)
    throw Error(
        kBatchSize,
        "The model does not take " + std::to_string(images) + " images together, and concepts are those of one batch.",
        Remedy{"Give it as many images as it takes."});
  ExplainedPass whole;
  std::vector<IValue> outputs;
  const auto rows = static_cast<size_t>(images);
  for (auto& part : parts) {
    outputs.push_back(part.output);
    auto& classes = part.explained.classes;
    whole.explained.classes.insert(whole.explained.classes.end(), classes.begin(), classes.end());
    whole.intercepted = std::max(whole.intercepted, part.intercepted);
    if (!part.why_hooked.empty()) whole.why_hooked = part.why_hooked;
  }
  whole.output = joined_values(outputs, images);
  auto& explained = whole.explained;
  explained.of = parts.front().explained.of;
  explained.rows = parts.front().explained.rows;
  explained.classes.resize(std::min(explained.classes.size(), rows));
  explained.scores = joined_of(parts, images, [](const Explained& each) { return each.scores; });
  explained.input_gradient = joined_of(parts, images, [](const Explained& each) { return each.input_gradient; });
  explained.full_grad = joined_of(parts, images, [](const Explained& each) { return each.full_grad; });
  for (size_t i = 0; i < parts.front().explained.attention.size(); ++i)
    explained.attention.push_back(
        {joined_of(parts, images, [i](const Explained& each) { return each.attention.at(i).weights; }),
         joined_of(parts, images, [i](const Explained& each) { return each.attention.at(i).gradient; })});
  explained.layers = parts.front().explained.layers;
  for (size_t i = 0; i < explained.layers.size(); ++i)
    for (const auto which : {&LayerResult::zero_activation, &LayerResult::zero_gradient, &LayerResult::non_finite,
                             &LayerResult::cancelled_gradient})
      explained.layers[i].*which = joined_layer_flags(parts, {rows, static_cast<size_t>(most)}, i, which);
  explained.factors = std::move(parts.front().explained.factors);
  for (auto& layer : explained.layers)
    if (!layer.shape.empty()) layer.shape.front() = images;
  explained.maps = parts.front().explained.maps;
  explained.failures.resize(explained.maps.size());
  for (const auto& part : parts)
    for (size_t m = 0; m < part.explained.failures.size(); ++m)
      if (const auto& failure = part.explained.failures[m]; failure && !explained.failures[m]) {
        explained.failures[m] = failure;
        explained.maps[m].clear();
      }
  for (size_t m = 0; m < explained.maps.size(); ++m)
    for (size_t i = 0; i < explained.maps[m].size(); ++i) {
      auto& map = explained.maps[m][i];
      map.map = joined_of(parts, images, [&](const Explained& each) { return each.maps.at(m).at(i).map; });
      map.contribution =
          joined_of(parts, images, [&](const Explained& each) { return each.maps.at(m).at(i).contribution; });
      for (const auto which :
           {&MethodMap::all_zero, &MethodMap::non_finite, &MethodMap::constant, &MethodMap::same_scores})
        map.*which = joined_map_flags(parts, rows, {m, i}, which);
    }
  return whole;
}

// A batch that runs in parts of `most` images. The last may have fewer, but not fewer than `fewest`.
struct Parting {
  int64_t images, fewest, most;
};

// Where the model takes another number of images at a time than the inputs have.
std::optional<Parting> parting_by_model(const Pass& pass, const std::vector<IValue>& inputs, const CancelFlag& cancel) {
  if (inputs.empty() || !inputs.front().isTensor() || inputs.front().toTensor().dim() == 0) return {};
  const auto images = inputs.front().toTensor().size(0);
  const auto bounds = pass.model().batch();
  if (images == 0 || bounds.allows(images)) return {};
  if (const auto& rows = pass.probe(inputs, &cancel); rows.mixed)
    throw Error(kBatchSize,
                "The model takes " + std::to_string(bounds.min) + " images at a time, and not " +
                    std::to_string(images) + ": there is nothing to fill its batch up with, since " + rows.why,
                Remedy{"Give as many images as it takes, or export it with a batch of any size."},
                {{"images", images}, {"batch", bounds.min}});
  return Parting{images, bounds.min, bounds.max};
}

// Where the graph of all images would take memory for nothing.
std::optional<Parting> parting_for_memory(const Pass& pass, const std::vector<IValue>& inputs, const Target& target) {
  const auto most = pass.images_at_once(inputs, target);
  if (!most || pass.model().batch().min > 1) return {};
  return Parting{inputs.front().toTensor().size(0), 1, *most};
}

}  // namespace

ExplainedPass explain(const Pass& pass, const std::vector<IValue>& inputs, const Target& target,
                      const CancelFlag& cancel) {
  auto parting = parting_by_model(pass, inputs, cancel);
  if (!parting) parting = parting_for_memory(pass, inputs, target);
  if (!parting) return explain_at_once(pass, inputs, target, cancel);
  const auto [images, fewest, most] = *parting;
  std::vector<ExplainedPass> parts;
  for (int64_t from = 0; from < images; from += most) {
    std::vector<int64_t> some;
    for (int64_t i = from; i < std::min(from + most, images); ++i) some.push_back(i);
    while (static_cast<int64_t>(some.size()) < fewest) some.push_back(some.back());
    parts.push_back(
        explain_at_once(pass, inputs_of(inputs, images, some), target_of_images(target, images, some), cancel));
  }
  return join(std::move(parts), images, most);
}

}  // namespace gradcam
