#include "target_output.h"

#include "core/base/error.h"

namespace gradcam {

namespace {

// " of logits [1, 5], aux None", for messages.
std::string parts_text(const IValue& value) {
  std::string text;
  for (const auto& [name, part] : parts_of(value)) {
    const bool shaped = part.isTensor() && part.toTensor().defined();
    text += (text.empty() ? " of " : ", ") + name + " " + (shaped ? shape_text(part.toTensor()) : part.tagKind());
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
                                    value.tagKind() + (names.empty() ? "." : " of " + names + "."));
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

Tensor output_tensor(const IValue& output, const PartPath& path) {
  const auto value = output_part(output, path);
  if (!value.isTensor() || !value.toTensor().defined()) {
    std::string where = "output";
    for (const auto& step : path) where += "[" + path_text({step}) + "]";
    throw Error("ERR_TARGET",
                "The model" + (path.empty() ? std::string(" returned a ") : "'s " + where + " is a ") +
                    value.tagKind() + parts_text(value) + ", so a class does not say which of its tensors to explain.",
                Remedy{"Give the name or position of one (`of`), or a function that turns the output into a scalar "
                       "Tensor."});
  }
  return value.toTensor();
}

bool has_part(const IValue& value, const PartStep& step) { return part_at(value, {step}).has_value(); }

}  // namespace gradcam
