#include "target_output.h"

#include "core/base/error.h"

namespace gradcam {

namespace {

// " of logits [1, 5], aux None", for messages.
std::string parts_text(const IValue& value) {
  std::string text;
  for (const auto& [name, part] : parts_of(value)) {
    const bool shaped = part.isTensor() && part.toTensor().defined();
    text += (text.empty() ? " of " : ", ") + name + " " + (shaped ? shape_text(part.toTensor()) : kind_text(part));
  }
  return text;
}

}  // namespace

IValue output_part(const IValue& output, const PartPath& path) {
  IValue value = output;
  std::string where = "output";
  for (const auto& step : path) {
    auto found = part_at(value, {step});
    if (!found) {
      std::string names;
      for (const auto& [name, _] : parts_of(value)) names += (names.empty() ? "" : ", ") + name;
      throw Error("ERR_TARGET", "The model's " + where + " has no part " + path_text({step}) + ": it is a " +
                                    kind_text(value) + (names.empty() ? "." : " of " + names + "."));
    }
    where += "[" + path_text({step}) + "]";
    value = std::move(*found);
  }
  return value;
}

PartPath likely_part(const IValue& output) {
  if (output.isTensor()) return {};
  const auto parts = parts_of(output);
  const auto step_to = [&](size_t i) -> PartStep {
    const auto type = output.isTuple() ? output.type()->cast<c10::TupleType>() : nullptr;
    const bool named = output.isGenericDict() || (type && type->schema());
    return named ? PartStep(parts[i].first) : PartStep(static_cast<int64_t>(i));
  };
  const auto is_scores = [](const IValue& value) {
    return value.isTensor() && value.toTensor().defined() && value.toTensor().is_floating_point();
  };
  for (const char* name : {"logits", "out"})
    for (size_t i = 0; i < parts.size(); ++i)
      if (parts[i].first == name && is_scores(parts[i].second)) return {step_to(i)};
  std::vector<size_t> tables, all;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].second.isNone()) continue;
    all.push_back(i);
    if (is_scores(parts[i].second) && parts[i].second.toTensor().dim() == 2) tables.push_back(i);
  }
  if (tables.size() == 1) return {step_to(tables.front())};
  if (!tables.empty() || all.size() != 1) return {};
  const auto& only = parts[all.front()].second;
  if (is_scores(only)) return {step_to(all.front())};
  auto inner = likely_part(only);
  if (!inner.empty()) inner.insert(inner.begin(), step_to(all.front()));
  return inner;
}

namespace {

// Whether a detector's detections are in a value: a dict with a key "boxes", or a list of them.
bool has_boxes(const IValue& value) {
  for (const auto& [name, part] : parts_of(value))
    if (name == "boxes" || has_boxes(part)) return true;
  return false;
}

// A number, a text or None: nothing that a gradient could be taken of, or that has a row for each image.
bool has_no_tensor(const IValue& value) {
  if (value.isTensor()) return false;
  for (const auto& [_, part] : parts_of(value))
    if (!has_no_tensor(part)) return false;
  return true;
}

}  // namespace

Tensor output_tensor(const IValue& output, const PartPath& path) {
  const auto value = output_part(output, path);
  if (has_no_tensor(output))
    throw Error("ERR_TARGET", "The model returned no tensor, but a value of the type " + kind_text(output) + ".",
                Remedy{"Export a model that returns the tensor that this is made of, without float(), .item() or "
                       ".tolist()."});
  if (!value.isTensor() || !value.toTensor().defined()) {
    std::string where = "output";
    for (const auto& step : path) where += "[" + path_text({step}) + "]";
    throw Error(
        "ERR_TARGET",
        "The model" + (path.empty() ? std::string(" returned a ") : "'s " + where + " is a ") + kind_text(value) +
            parts_text(value) + ", so a class does not say which of its tensors to explain.",
        Remedy{std::string(has_boxes(output) ? "Its detections are explained by a target of the kind 'box'. Else give "
                                             : "Give ") +
               "the name or position of one (`of`), or a function that turns the output into a scalar Tensor."});
  }
  return value.toTensor();
}

bool has_part(const IValue& value, const PartStep& step) { return part_at(value, {step}).has_value(); }

}  // namespace gradcam
