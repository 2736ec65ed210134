#include "target_output.h"

#include "core/base/error.h"

namespace gradcam {

namespace {

using Step = std::variant<std::string, int64_t>;

std::string text_of(const Step& step) {
  if (const auto* name = std::get_if<std::string>(&step)) return "'" + *name + "'";
  return std::to_string(std::get<int64_t>(step));
}

// The parts of a value by name (where they have one) and in order.
std::vector<std::pair<std::string, IValue>> parts_of(const IValue& value) {
  std::vector<std::pair<std::string, IValue>> parts;
  if (value.isTuple()) {
    const auto type = value.type()->cast<c10::TupleType>();
    const auto& elements = value.toTupleRef().elements();
    for (size_t i = 0; i < elements.size(); ++i)
      parts.emplace_back(type && type->schema() ? type->schema()->arguments()[i].name() : std::to_string(i),
                         elements[i]);
  } else if (value.isList()) {
    for (const auto& element : value.toListRef()) parts.emplace_back(std::to_string(parts.size()), element);
  } else if (value.isGenericDict()) {
    for (const auto& entry : value.toGenericDict())
      parts.emplace_back(entry.key().isString() ? entry.key().toStringRef() : std::to_string(entry.key().toInt()),
                         entry.value());
  }
  return parts;
}

// " of logits [1, 5], aux None", for messages.
std::string parts_text(const IValue& value) {
  std::string text;
  for (const auto& [name, part] : parts_of(value)) {
    const bool shaped = part.isTensor() && part.toTensor().defined();
    text += (text.empty() ? " of " : ", ") + name + " " + (shaped ? shape_text(part.toTensor()) : part.tagKind());
  }
  return text;
}

const IValue* part(const std::vector<std::pair<std::string, IValue>>& parts, const Step& step, bool by_position) {
  if (const auto* index = std::get_if<int64_t>(&step); index && by_position)
    return *index >= 0 && *index < static_cast<int64_t>(parts.size()) ? &parts[static_cast<size_t>(*index)].second
                                                                      : nullptr;
  const auto* name = std::get_if<std::string>(&step);
  const auto key_text = name ? *name : std::to_string(std::get<int64_t>(step));
  for (const auto& [key, value] : parts)
    if (key == key_text) return &value;
  return nullptr;
}

}  // namespace

IValue output_part(const IValue& output, const std::vector<Step>& path) {
  IValue value = output;
  std::string where = "output";
  for (const auto& step : path) {
    const auto parts = parts_of(value);
    const auto* found = part(parts, step, !value.isGenericDict());
    if (!found) {
      std::string names;
      for (const auto& [name, _] : parts) names += (names.empty() ? "" : ", ") + name;
      throw Error("ERR_TARGET", "The model's " + where + " has no part " + text_of(step) + ": it is a " +
                                    value.tagKind() + (names.empty() ? "." : " of " + names + "."));
    }
    where += "[" + text_of(step) + "]";
    value = IValue(*found);
  }
  return value;
}

std::vector<Step> likely_part(const IValue& output) {
  if (output.isTensor()) return {};
  const auto parts = parts_of(output);
  const auto step_to = [&](size_t i) -> Step {
    const auto type = output.isTuple() ? output.type()->cast<c10::TupleType>() : nullptr;
    const bool named = output.isGenericDict() || (type && type->schema());
    return named ? Step(parts[i].first) : Step(static_cast<int64_t>(i));
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

Tensor output_tensor(const IValue& output, const std::vector<Step>& path) {
  const auto value = output_part(output, path);
  if (!value.isTensor() || !value.toTensor().defined()) {
    std::string where = "output";
    for (const auto& step : path) where += "[" + text_of(step) + "]";
    throw Error("ERR_TARGET",
                "The model" + (path.empty() ? std::string(" returned a ") : "'s " + where + " is a ") +
                    value.tagKind() + parts_text(value) + ", so a class does not say which of its tensors to explain.",
                Remedy{"Give the name or position of one (`of`), or a function that turns the output into a scalar "
                       "Tensor."});
  }
  return value.toTensor();
}

bool has_part(const IValue& value, const Step& step) {
  return part(parts_of(value), step, !value.isGenericDict()) != nullptr;
}

}  // namespace gradcam
