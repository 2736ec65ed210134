#include "value_parts.h"

#include <array>
#include <cstdio>
#include <cstdlib>

namespace gradcam {

namespace {

// The fewest of 15 to 17 digits that are read as the same number. Not by std::to_chars, which libstdc++ has since GCC
// 11: the addon loads with that of GCC 8.
std::string double_text(double number) {
  std::array<char, 32> text{};
  for (const auto digits : {15, 16, 17}) {
    std::snprintf(text.data(), text.size(), "%.*g", digits, number);
    if (std::strtod(text.data(), nullptr) == number) break;
  }
  return text.data();
}

const c10::ivalue::Object* object_of(const IValue& value) {
  return value.isObject() && !value.isModule() ? &value.toObjectRef() : nullptr;
}

// Where a step leads among the parts of a value. A number is a position, except in a dict, where it is a key.
std::optional<size_t> position_of(const IValue& value, const std::vector<std::pair<std::string, IValue>>& parts,
                                  const PartStep& step) {
  const auto* index = std::get_if<int64_t>(&step);
  const bool by_position = index && (!value.isGenericDict() || parts.empty() || parts.front().first.empty());
  if (by_position)
    return *index >= 0 && *index < static_cast<int64_t>(parts.size()) ? std::optional(static_cast<size_t>(*index))
                                                                      : std::nullopt;
  const auto requested = index ? std::to_string(*index) : std::get<std::string>(step);
  for (size_t i = 0; i < parts.size(); ++i)
    if (parts[i].first == requested) return i;
  return std::nullopt;
}

// The same value with other parts, in their order.
IValue with_parts(const IValue& value, std::vector<IValue> parts) {
  if (value.isTuple()) {
    if (const auto type = value.type()->cast<c10::TupleType>(); type && type->schema())
      return c10::ivalue::Tuple::createNamed(std::move(parts), type);
    return c10::ivalue::Tuple::create(std::move(parts));
  }
  if (value.isList()) {
    c10::List<IValue> list(value.toList().elementType());
    for (auto& part : parts) list.push_back(std::move(part));
    return list;
  }
  if (value.isGenericDict()) {
    const auto dict = value.toGenericDict();
    c10::Dict<IValue, IValue> changed(dict.keyType(), dict.valueType());
    size_t next = 0;
    for (const auto& entry : dict) changed.insert(entry.key(), parts[next++]);
    return changed;
  }
  auto changed = value.toObject()->copy();
  for (size_t i = 0; i < parts.size(); ++i) changed->setSlot(i, std::move(parts[i]));
  return changed;
}

void collect_paths(const IValue& value, PartPath& here, std::vector<PartPath>& found) {
  if (value.isTensor()) {
    if (value.toTensor().defined() && value.toTensor().is_floating_point()) found.push_back(here);
    return;
  }
  const auto parts = parts_of(value);
  for (size_t i = 0; i < parts.size(); ++i) {
    const bool named = !parts[i].first.empty() && !value.isList() && parts[i].first != std::to_string(i);
    here.push_back(named ? PartStep(parts[i].first) : PartStep(static_cast<int64_t>(i)));
    collect_paths(parts[i].second, here, found);
    here.pop_back();
  }
}

}  // namespace

std::string key_text(const IValue& key) {
  if (key.isString()) return key.toStringRef();
  if (key.isInt()) return std::to_string(key.toInt());
  if (key.isDouble()) return double_text(key.toDouble());
  if (key.isBool()) return key.toBool() ? "true" : "false";
  if (key.isDevice()) return key.toDevice().str();
  if (key.isComplexDouble()) {
    const auto number = key.toComplexDouble();
    return double_text(number.real()) + (number.imag() < 0 ? "" : "+") + double_text(number.imag()) + "i";
  }
  return {};
}

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
    for (const auto& entry : value.toGenericDict()) parts.emplace_back(key_text(entry.key()), entry.value());
  } else if (const auto* object = object_of(value)) {
    for (size_t i = 0; i < object->type()->numAttributes(); ++i)
      parts.emplace_back(object->type()->getAttributeName(i), object->getSlot(i));
  }
  return parts;
}

std::optional<IValue> part_at(const IValue& value, const PartPath& path) {
  IValue here = value;
  for (const auto& step : path) {
    const auto parts = parts_of(here);
    const auto found = position_of(here, parts, step);
    if (!found) return std::nullopt;
    here = IValue(parts[*found].second);
  }
  return here;
}

IValue with_part_at(const IValue& value, const PartPath& path, const IValue& part) {
  if (path.empty()) return part;
  const auto parts = parts_of(value);
  const auto changed = position_of(value, parts, path.front()).value();
  std::vector<IValue> values;
  for (const auto& [_, each] : parts) values.push_back(each);
  values[changed] = with_part_at(values[changed], PartPath(path.begin() + 1, path.end()), part);
  return with_parts(value, std::move(values));
}

std::vector<PartPath> paths_of_float_tensors(const IValue& value) {
  std::vector<PartPath> found;
  PartPath here;
  collect_paths(value, here, found);
  return found;
}

std::string kind_text(const IValue& value) {
  if (value.isGenericDict()) return "Dict";
  if (value.isList()) return "List";
  if (value.isDouble()) return "float";
  if (value.isInt()) return "int";
  if (value.isBool()) return "bool";
  if (value.isString()) return "str";
  return value.tagKind();
}

std::string path_text(const PartPath& path) {
  std::string text;
  for (const auto& step : path) {
    const auto* name = std::get_if<std::string>(&step);
    text += (text.empty() ? "" : ", ") + (name ? "'" + *name + "'" : std::to_string(std::get<int64_t>(step)));
  }
  return path.size() == 1 ? text : "[" + text + "]";
}

}  // namespace gradcam
