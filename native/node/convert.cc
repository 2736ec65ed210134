#include "convert.h"

#include <torch/cuda.h>

#include <cmath>
#include <limits>

#include "core/base/error.h"
#include "core/memory/caching_allocator.h"
#include "handles.h"

namespace gradcam::node {

using at::IValue;

namespace {

bool is_integer(double number) { return std::trunc(number) == number && std::abs(number) <= kLargestSafeInteger; }

[[noreturn]] void refuse(const std::string& what, const std::string& expected) {
  throw Error("ERR_INVALID_ARGUMENT", what + " must be " + expected + ".");
}

int64_t to_integer(const Napi::Value& value, const std::string& what) {
  if (value.IsBigInt()) {
    bool lossless = false;
    const auto integer = value.As<Napi::BigInt>().Int64Value(&lossless);
    if (lossless) return integer;
  } else if (value.IsNumber() && is_integer(value.As<Napi::Number>().DoubleValue())) {
    return value.As<Napi::Number>().Int64Value();
  }
  refuse(what, "an integer");
}

IValue to_scalar(const Napi::Value& value, const std::string& what) {
  if (value.IsBoolean()) return value.As<Napi::Boolean>().Value();
  if (value.IsBigInt()) return to_integer(value, what);
  if (!value.IsNumber()) refuse(what, "a number");
  const double number = value.As<Napi::Number>().DoubleValue();
  if (is_integer(number) && !std::signbit(number)) return static_cast<int64_t>(number);
  if (is_integer(number) && number != 0) return static_cast<int64_t>(number);
  return number;
}

// Enumerators go by name alone: LibTorch takes any integer for one and reads beyond its tables.
at::MemoryFormat parse_memory_format(const std::string& name, const std::string& what) {
  if (name == "contiguous") return at::MemoryFormat::Contiguous;
  if (name == "channelsLast") return at::MemoryFormat::ChannelsLast;
  refuse(what, "'contiguous' or 'channelsLast'");
}

IValue to_list(const Napi::Value& value, const c10::TypePtr& element, const std::string& what) {
  c10::List<IValue> list(element);
  if (value.IsArray()) {
    const auto array = value.As<Napi::Array>();
    for (uint32_t i = 0; i < array.Length(); ++i)
      list.push_back(to_ivalue(array[i], element, what + "[" + std::to_string(i) + "]"));
  } else if (value.IsNumber()) {
    list.push_back(to_ivalue(value, element, what));  // a single number for an int[] or float[]
  } else {
    refuse(what, "an array");
  }
  return list;
}

bool is_plain_object(const Napi::Value& value) { return value.IsObject() && !value.IsArray() && !is_tensor(value); }

// A key of a dict by the name of a property, which is a string whatever the keys are.
IValue to_key(const Napi::String& name, const c10::TypePtr& type, const std::string& what) {
  const auto text = name.Utf8Value();
  switch (type->kind()) {
    case c10::TypeKind::BoolType:
      if (text != "true" && text != "false") refuse(what, "true or false");
      return text == "true";
    case c10::TypeKind::IntType:
    case c10::TypeKind::FloatType:
      if (text.empty() || (std::isnan(name.ToNumber().DoubleValue()) && text != "NaN")) refuse(what, "a number");
      return to_ivalue(name.ToNumber(), type, what);
    default:
      return to_ivalue(name, type, what);
  }
}

// A named tuple from an object by its fields, or from an array in their order.
IValue to_named_tuple(const Napi::Value& value, const c10::TupleTypePtr& type, const std::string& what) {
  const auto& fields = type->schema()->arguments();
  std::vector<IValue> converted;
  const bool by_name = is_plain_object(value);
  if (!by_name && (!value.IsArray() || value.As<Napi::Array>().Length() != fields.size())) {
    std::string names;
    for (const auto& field : fields) names += (names.empty() ? "" : ", ") + field.name();
    refuse(what, "an object with " + names + ", or an array of these");
  }
  const auto object = value.As<Napi::Object>();
  for (uint32_t i = 0; i < fields.size(); ++i) {
    const Napi::Value given = by_name ? object.Get(fields[i].name()) : object.Get(i);
    if (given.IsUndefined() && fields[i].default_value())
      converted.push_back(*fields[i].default_value());
    else
      converted.push_back(to_ivalue(given, fields[i].type(), what + "." + fields[i].name()));
  }
  return c10::ivalue::Tuple::createNamed(std::move(converted), type);
}

IValue to_dict(const Napi::Value& value, const c10::DictType& type, const std::string& what) {
  if (!is_plain_object(value)) refuse(what, "an object");
  c10::Dict<IValue, IValue> dict(type.getKeyType(), type.getValueType());
  const auto object = value.As<Napi::Object>();
  const auto names = object.GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); ++i) {
    const Napi::Value name = names[i];
    const auto key = to_key(name.As<Napi::String>(), type.getKeyType(), "a key of " + what);
    dict.insert(key, to_ivalue(object.Get(name), type.getValueType(), what + "." + to_text(name, "key")));
  }
  return dict;
}

}  // namespace

at::Device parse_device(const std::string& name) {
  if (name == "auto") return torch::cuda::is_available() ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
  if (name == "cpu") return at::kCPU;
  if (name != "cuda" && (!name.starts_with("cuda:") || name.size() > 8 || name.size() == 5 ||
                         name.find_first_not_of("0123456789", 5) != std::string::npos))
    throw Error("ERR_DEVICE", "Unknown device '" + name + "'.", Remedy{"Use 'cpu', 'cuda', 'cuda:N' or 'auto'."});
  const int index = name == "cuda" ? 0 : std::stoi(name.substr(5));
  const auto count = static_cast<int>(torch::cuda::device_count());
  if (count == 0)
    throw Error("ERR_DEVICE", "'" + name + "' was asked for, but LibTorch sees no CUDA device here.",
                Remedy{"Use 'cpu' or 'auto'; "
                       "`gradcam doctor` shows whether this LibTorch is a CUDA build."});
  if (index >= count)
    throw Error("ERR_DEVICE",
                "Device '" + name + "' does not exist: LibTorch sees " + std::to_string(count) + ", numbered from 0.");
  return {at::kCUDA, static_cast<c10::DeviceIndex>(index)};
}

IValue to_ivalue(const Napi::Value& value, const c10::TypePtr& type, const std::string& what) {
  switch (type->kind()) {
    case c10::TypeKind::OptionalType:
      if (value.IsNull() || value.IsUndefined()) return IValue();
      return to_ivalue(value, type->expectRef<c10::OptionalType>().getElementType(), what);
    case c10::TypeKind::NoneType:
      if (value.IsNull() || value.IsUndefined()) return IValue();
      refuse(what, "null");
    case c10::TypeKind::TensorType:
      if (!is_tensor(value)) refuse(what, "a Tensor");
      return unwrap_tensor(value);
    case c10::TypeKind::NumberType:
      return to_scalar(value, what);
    case c10::TypeKind::SymIntType:
    case c10::TypeKind::IntType:
      return to_integer(value, what);
    case c10::TypeKind::ScalarTypeType:
      return static_cast<int64_t>(parse_dtype(to_text(value, what)));
    case c10::TypeKind::MemoryFormatType:
      return static_cast<int64_t>(parse_memory_format(to_text(value, what), what));
    case c10::TypeKind::FloatType:
      if (!value.IsNumber()) refuse(what, "a number");
      return value.As<Napi::Number>().DoubleValue();
    case c10::TypeKind::BoolType:
      if (!value.IsBoolean()) refuse(what, "true or false");
      return value.As<Napi::Boolean>().Value();
    case c10::TypeKind::StringType:
      return to_text(value, what);
    case c10::TypeKind::DeviceObjType:
      return parse_device(to_text(value, what));
    case c10::TypeKind::ListType: {
      auto element = type->expectRef<c10::ListType>().getElementType();
      if (element->kind() == c10::TypeKind::SymIntType) element = c10::IntType::get();
      return to_list(value, element, what);
    }
    case c10::TypeKind::TupleType: {
      if (type->expectRef<c10::TupleType>().schema())
        return to_named_tuple(value, type->expect<c10::TupleType>(), what);
      const auto elements = type->expectRef<c10::TupleType>().elements();
      if (!value.IsArray() || value.As<Napi::Array>().Length() != elements.size())
        refuse(what, "an array of " + std::to_string(elements.size()));
      std::vector<IValue> converted;
      for (uint32_t i = 0; i < elements.size(); ++i)
        converted.push_back(to_ivalue(value.As<Napi::Array>()[i], elements[i], what + "[" + std::to_string(i) + "]"));
      return c10::ivalue::Tuple::create(std::move(converted));
    }
    case c10::TypeKind::DictType:
      return to_dict(value, type->expectRef<c10::DictType>(), what);
    default:
      throw Error("ERR_INVALID_ARGUMENT", what + " is of type " + type->repr_str() +
                                              ", which cannot be given from "
                                              "JavaScript.");
  }
}

std::vector<int64_t> to_integers(const Napi::Value& value, const std::string& what) {
  if (!value.IsArray()) refuse(what, "an array of integers");
  std::vector<int64_t> integers;
  const auto array = value.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); ++i)
    integers.push_back(to_integer(array[i], what + "[" + std::to_string(i) + "]"));
  return integers;
}

std::string to_text(const Napi::Value& value, const std::string& what) {
  if (!value.IsString()) refuse(what, "a string");
  return value.As<Napi::String>().Utf8Value();
}

size_t to_byte_limit(const Napi::Value& value) {
  const double bytes = value.ToNumber().DoubleValue();
  return std::isinf(bytes) ? kNoMemoryLimit : static_cast<size_t>(bytes);
}

double from_byte_limit(size_t bytes) {
  return bytes == kNoMemoryLimit ? std::numeric_limits<double>::infinity() : static_cast<double>(bytes);
}

std::vector<IValue> to_inputs(const Napi::Value& values, const c10::FunctionSchema& schema) {
  if (!values.IsArray()) refuse("The inputs of a model", "an array");
  const auto array = values.As<Napi::Array>();
  const auto& arguments = schema.arguments();  // the first is self
  if (array.Length() + 1 > arguments.size())
    throw Error("ERR_INVALID_ARGUMENT", "The model takes " + std::to_string(arguments.size() - 1) + " inputs, but " +
                                            std::to_string(array.Length()) + " were given.");
  std::vector<IValue> inputs;
  for (uint32_t i = 0; i + 1 < arguments.size(); ++i) {
    const auto& argument = arguments[i + 1];
    if (i < array.Length() && is_tensor(Napi::Value(array[i])) && is_image_list(*argument.type()))
      inputs.emplace_back(unwrap_tensor(Napi::Value(array[i])));  // all images in one: see unbind_image_lists
    else if (i < array.Length() && !Napi::Value(array[i]).IsUndefined())
      inputs.push_back(to_ivalue(array[i], argument.type(), "The model's input '" + argument.name() + "'"));
    else if (argument.default_value())
      inputs.push_back(*argument.default_value());
    else
      throw Error("ERR_INVALID_ARGUMENT",
                  "The model's input '" + argument.name() + "' (" + argument.type()->repr_str() + ") is missing.");
  }
  return inputs;
}

}  // namespace gradcam::node
