#include "ivalues.h"

#include <cmath>
#include <sstream>

namespace gradcam {

void for_each_tensor(const IValue& value, const std::function<void(const Tensor&)>& fn) {
  if (value.isTensor()) {
    fn(value.toTensor());
  } else if (value.isTuple()) {
    for (const auto& element : value.toTupleRef().elements()) for_each_tensor(element, fn);
  } else if (value.isList()) {
    for (const auto& element : value.toListRef()) for_each_tensor(element, fn);
  } else if (value.isGenericDict()) {
    for (const auto& entry : value.toGenericDict()) for_each_tensor(entry.value(), fn);
  } else if (value.isObject() && !value.isModule()) {
    for (const auto& slot : value.toObjectRef().slots()) for_each_tensor(slot, fn);
  }
}

IValue map_tensors(const IValue& value, const std::function<Tensor(const Tensor&)>& fn) {
  if (value.isTensor()) return value.toTensor().defined() ? fn(value.toTensor()) : value;
  if (value.isTuple()) {
    std::vector<IValue> elements;
    for (const auto& element : value.toTupleRef().elements()) elements.push_back(map_tensors(element, fn));
    // A named tuple keeps its type, and with it its field names.
    if (const auto type = value.type()->cast<c10::TupleType>(); type && type->schema())
      return c10::ivalue::Tuple::createNamed(std::move(elements), type);
    return c10::ivalue::Tuple::create(std::move(elements));
  }
  if (value.isList()) {
    const auto list = value.toList();
    c10::List<IValue> mapped(list.elementType());
    mapped.reserve(list.size());
    for (const auto& element : value.toListRef()) mapped.push_back(map_tensors(element, fn));
    return mapped;
  }
  if (value.isGenericDict()) {
    const auto dict = value.toGenericDict();
    c10::Dict<IValue, IValue> mapped(dict.keyType(), dict.valueType());
    for (const auto& entry : dict) mapped.insert(entry.key(), map_tensors(entry.value(), fn));
    return mapped;
  }
  if (value.isObject() && !value.isModule()) {
    auto mapped = value.toObject()->copy();
    for (size_t i = 0; i < mapped->slots().size(); ++i) mapped->setSlot(i, map_tensors(mapped->getSlot(i), fn));
    return mapped;
  }
  return value;
}

bool is_image_list(const c10::Type& type) {
  const auto* list = type.castRaw<c10::ListType>();
  return list && list->getElementType()->kind() == c10::TypeKind::TensorType;
}

void unbind_image_lists(std::vector<IValue>& values, const c10::FunctionSchema& schema, size_t first) {
  const auto& arguments = schema.arguments();
  for (size_t i = 0; i < values.size() && first + i < arguments.size(); ++i)
    if (values[i].isTensor() && values[i].toTensor().dim() > 0 && is_image_list(*arguments[first + i].type()))
      values[i] = c10::List<Tensor>(values[i].toTensor().unbind(0));
}

bool all_finite(const std::vector<IValue>& values) {
  bool finite = true;
  for (const auto& value : values)
    for_each_tensor(value, [&](const Tensor& t) {
      if (!finite || !t.defined() || !t.is_floating_point() || t.numel() == 0) return;
      // A finite sum has finite terms. Large terms may have an infinite one, which has to be looked into.
      finite = std::isfinite(t.detach().sum().item<double>()) || at::isfinite(t.detach()).all().item<bool>();
    });
  return finite;
}

std::string shape_text(const Tensor& tensor) {
  std::ostringstream text;
  text << tensor.sizes();
  return text.str();
}

}  // namespace gradcam
