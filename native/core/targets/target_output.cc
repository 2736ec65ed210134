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

Tensor output_tensor(const IValue& output, const std::vector<Step>& path) {
  const auto value = output_part(output, path);
  if (!value.isTensor() || !value.toTensor().defined()) {
    std::string where = "output";
    for (const auto& step : path) where += "[" + text_of(step) + "]";
    throw Error("ERR_TARGET",
                "The model" + (path.empty() ? std::string(" returned a ") : "'s " + where + " is a ") +
                    value.tagKind() + ", so a class index does not say which of its tensors to explain.",
                Remedy{"Give the path to one "
                       "(`of`), or a function that turns the output into a scalar Tensor."});
  }
  return value.toTensor();
}

bool has_part(const IValue& value, const Step& step) {
  return part(parts_of(value), step, !value.isGenericDict()) != nullptr;
}

}  // namespace gradcam
