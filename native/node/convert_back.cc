#include <cmath>

#include "convert.h"
#include "core/base/error.h"
#include "core/base/value_parts.h"
#include "handles.h"

namespace gradcam::node {

using at::IValue;

namespace {

[[noreturn]] void refuse_output(const IValue& value) {
  throw Error("ERR_INVALID_ARGUMENT",
              "The model returned a value of type " + value.type()->repr_str() + ", which JavaScript has no form for.");
}

bool is_unnamed_tuple(const IValue& value) {
  if (!value.isTuple()) return false;
  const auto type = value.type()->cast<c10::TupleType>();
  return !type || !type->schema();
}

// [key, value] for each entry of a dict whose keys have no text, such as tensors.
Napi::Value to_entries(Napi::Env env, const IValue& value) {
  auto entries = Napi::Array::New(env);
  for (const auto& entry : value.toGenericDict()) {
    auto pair = Napi::Array::New(env, 2);
    pair[uint32_t{0}] = to_javascript(env, entry.key());
    pair[uint32_t{1}] = to_javascript(env, entry.value());
    entries[entries.Length()] = pair;
  }
  return entries;
}

}  // namespace

Napi::Value to_javascript(Napi::Env env, const IValue& value) {
  if (value.isNone()) return env.Null();
  if (value.isTensor()) {
    if (!value.toTensor().defined()) return env.Null();
    return TensorHandle::wrap(env, value.toTensor());
  }
  if (value.isBool()) return Napi::Boolean::New(env, value.toBool());
  if (value.isInt()) {
    const auto integer = value.toInt();
    if (std::abs(static_cast<double>(integer)) <= kLargestSafeInteger)
      return Napi::Number::New(env, static_cast<double>(integer));
    return Napi::BigInt::New(env, integer);
  }
  if (value.isDouble()) return Napi::Number::New(env, value.toDouble());
  if (value.isString()) return Napi::String::New(env, value.toStringRef());
  if (value.isDevice()) return Napi::String::New(env, value.toDevice().str());
  if (value.isComplexDouble()) {
    const auto number = value.toComplexDouble();
    auto object = Napi::Object::New(env);
    object.Set("real", number.real());
    object.Set("imag", number.imag());
    return object;
  }
  if (value.isEnum()) return to_javascript(env, value.toEnumHolder()->value());
  if (value.isObject() && value.toObjectRef().type()->is_module()) refuse_output(value);
  const bool has_parts = value.isTuple() || value.isList() || value.isGenericDict() || value.isObject();
  if (!has_parts) refuse_output(value);
  const auto parts = parts_of(value);
  if (value.isList() || is_unnamed_tuple(value)) {
    auto array = Napi::Array::New(env, parts.size());
    for (uint32_t i = 0; i < parts.size(); ++i) array[i] = to_javascript(env, parts[i].second);
    return array;
  }
  if (value.isGenericDict() && !parts.empty() && parts.front().first.empty()) return to_entries(env, value);
  auto object = Napi::Object::New(env);
  for (const auto& [name, part] : parts) object.Set(name, to_javascript(env, part));
  return object;
}

}  // namespace gradcam::node
