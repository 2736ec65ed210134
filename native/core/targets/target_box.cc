#include "target_box.h"

#include <optional>
#include <sstream>

#include "core/base/error.h"
#include "target_output.h"

namespace gradcam {

namespace {

using Step = BoxTarget::Step;

// Of one image, in at least float32.
struct Detections {
  Tensor boxes, labels, scores;  // [K, 4], [K] where labels are known, [K]
};

template <typename T>
std::string text_of(const T& value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

std::string box_text(const Tensor& box) {
  std::ostringstream text;
  const char* separator = "[";
  for (int64_t i = 0; i < 4; ++i, separator = ", ") text << separator << box[i].item<double>();
  text << "]";
  return text.str();
}

Tensor as_float_at_least(const Tensor& tensor) {
  return tensor.scalar_type() == at::kHalf || tensor.scalar_type() == at::kBFloat16 ? tensor.to(at::kFloat) : tensor;
}

// A value for each image: the elements of a list or tuple of dicts or tuples, or all images in one.
std::vector<IValue> by_image(const IValue& value) {
  std::vector<IValue> parts;
  if (value.isList())
    parts = value.toListRef().vec();
  else if (value.isTuple())
    parts = value.toTupleRef().elements().vec();
  for (const auto& part : parts)
    if (part.isTensor()) return {value};
  return value.isList() || value.isTuple() ? parts : std::vector<IValue>{value};
}

void check_shapes(const Detections& found, bool batched) {
  const auto& [boxes, labels, scores] = found;
  const int64_t dims = batched ? 3 : 2;
  const bool fits = boxes.dim() == dims && boxes.size(-1) == 4 && boxes.is_floating_point() &&
                    scores.sizes() == boxes.sizes().slice(0, static_cast<size_t>(dims - 1)) &&
                    scores.is_floating_point() && (!labels.defined() || labels.sizes() == scores.sizes());
  if (fits) return;
  throw Error("ERR_TARGET",
              "A box needs boxes [K, 4] and scores [K] (and labels [K]) for each image, or the same with "
              "[N, ...] for all, but the model returned boxes of shape " +
                  text_of(boxes.sizes()) + ", scores of " + text_of(scores.sizes()) +
                  (labels.defined() ? " and labels of " + text_of(labels.sizes()) : std::string()) + ".");
}

std::vector<Detections> detections_of(const IValue& value, const BoxTarget& target) {
  std::vector<Detections> all;
  const auto parts = by_image(value);
  for (const auto& part : parts) {
    Detections found{as_float_at_least(output_tensor(part, {target.boxes_part})), Tensor(),
                     as_float_at_least(output_tensor(part, {target.scores_part}))};
    if (target.labels.defined() || has_part(part, target.labels_part))
      found.labels = output_tensor(part, {target.labels_part}).detach();
    const bool batched = parts.size() == 1 && found.boxes.dim() == 3;
    check_shapes(found, batched);
    if (!batched) {
      all.push_back(std::move(found));
      continue;
    }
    for (int64_t i = 0; i < found.boxes.size(0); ++i)
      all.push_back({found.boxes[i], found.labels.defined() ? found.labels[i] : Tensor(), found.scores[i]});
  }
  if (all.empty()) throw Error("ERR_TARGET", "The model returned detections for no image.");
  return all;
}

// Intersection over union of every detection with one box, [K].
Tensor overlaps(const Tensor& boxes, const Tensor& box) {
  const auto corner = [](const Tensor& of, int64_t from) { return of.slice(-1, from, from + 2); };
  const auto area = [](const Tensor& size) { return size.clamp_min(0).prod(-1); };
  const auto shared =
      area(at::minimum(corner(boxes, 2), corner(box, 2)) - at::maximum(corner(boxes, 0), corner(box, 0)));
  return shared / (area(corner(boxes, 2) - corner(boxes, 0)) + area(corner(box, 2) - corner(box, 0)) - shared);
}

struct Match {
  Tensor score;  // undefined where nothing matches
  int64_t label = 0;
};

Match match(const Detections& found, const Tensor& box, std::optional<int64_t> label, const BoxTarget& target,
            size_t image) {
  const auto refuse = [&](const std::string& best) -> Match {
    if (target.may_miss) return {Tensor(), label.value_or(-1)};
    throw Error("ERR_TARGET",
                "No detection" + (label ? " of label " + std::to_string(*label) : std::string()) + " in image " +
                    std::to_string(image) + " overlaps the box " + box_text(box) + " by an IoU above " +
                    text_of(target.iou) + best,
                Remedy{"Give the box of a detection, in pixels of the model's input, or a lower `iou`."});
  };
  if (found.boxes.size(0) == 0) return refuse(": the model returned no detections.");
  const auto iou = overlaps(found.boxes, box.to(found.boxes.options()));
  auto candidates = iou.detach().nan_to_num(0.0);
  if (label) candidates = candidates.masked_fill(found.labels.ne(*label), -1.0);
  const auto best = candidates.argmax().item<int64_t>();
  const auto greatest = candidates[best].item<double>();
  if (greatest < 0) return refuse(": no detection has that label.");
  if (!(greatest > target.iou)) return refuse(": the best has " + text_of(greatest) + ".");
  return {iou[best] + found.scores[best], label                    ? *label
                                          : found.labels.defined() ? found.labels[best].item<int64_t>()
                                                                   : -1};
}

}  // namespace

ResolvedBoxes resolve_boxes(const IValue& output, const PartPath& path, const BoxTarget& target) {
  const auto detections = detections_of(output_part(output, path), target);
  const auto images = static_cast<int64_t>(detections.size()), boxes = target.boxes.size(1);
  for (const auto& given : {target.boxes, target.labels})
    if (given.defined() && given.size(0) != 1 && given.size(0) != images)
      throw Error("ERR_TARGET_COUNT",
                  "Boxes or labels of " + std::to_string(given.size(0)) + " images were given for a batch of " +
                      std::to_string(images) + ".",
                  Remedy{"Give them once for all images, or for each."});
  const auto given_boxes = target.boxes.expand({images, boxes, 4});
  const auto given_labels = target.labels.defined() ? target.labels.expand({images, boxes}) : Tensor();
  ResolvedBoxes resolved;
  const bool labelled = given_labels.defined() || detections.front().labels.defined();
  if (labelled) resolved.labels = at::zeros({images, boxes}, at::kLong);
  std::vector<Tensor> scores;
  for (int64_t i = 0; i < images; ++i) {
    const auto& found = detections[static_cast<size_t>(i)];
    // Zero, but with a graph: a copy without any match has a score of zero, which is not an error.
    auto score = found.boxes.slice(0, 0, 0).sum() + found.scores.slice(0, 0, 0).sum();
    for (int64_t b = 0; b < boxes; ++b) {
      const auto label = given_labels.defined() ? std::optional(given_labels[i][b].item<int64_t>()) : std::nullopt;
      const auto matched = match(found, given_boxes[i][b], label, target, static_cast<size_t>(i));
      if (labelled) resolved.labels[i][b] = matched.label;
      if (matched.score.defined()) score = score + matched.score;
    }
    scores.push_back(score);
  }
  resolved.scores = at::stack(scores);
  return resolved;
}

}  // namespace gradcam
