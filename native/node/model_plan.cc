#include "model_plan.h"

#include <cmath>

#include "convert.h"
#include "core/base/error.h"
#include "core/model/operator_library.h"
#include "core/model/readers.h"
#include "handles.h"

namespace gradcam::node {

namespace {

[[noreturn]] void refuse_entry(const std::string& what) {
  throw Error("ERR_INVALID_ARGUMENT", "The plan of a model is invalid: " + what + ".");
}

uint64_t to_count(const Napi::Value& value, const char* what) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(number >= 0 && number <= 9007199254740991.0) || std::trunc(number) != number) refuse_entry(what);
  return static_cast<uint64_t>(number);
}

size_t to_position(const Napi::Value& value, size_t count, const char* what) {
  const auto position = to_count(value, what);
  if (position >= count) refuse_entry(what);
  return static_cast<size_t>(position);
}

Napi::Object to_object(const Napi::Value& value, const char* what) {
  if (!value.IsObject()) refuse_entry(std::string(what) + " is not an object");
  return value.As<Napi::Object>();
}

// Calls `add` with each element of an array.
template <typename Add>
void each(const Napi::Object& plan, const char* name, Add add) {
  const auto list = plan.Get(name);
  if (!list.IsArray()) refuse_entry(std::string(name) + " is not an array");
  const auto array = list.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::HandleScope scope(plan.Env());
    const Napi::Value entry = array[i];
    add(entry);
  }
}

ModelPlan::File to_file(const Napi::Value& value) {
  if (value.IsString()) return {value.As<Napi::String>().Utf8Value(), {}};
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array)
    refuse_entry("a file is neither a path nor bytes");
  const auto bytes = value.As<Napi::Uint8Array>();
  return {{}, {reinterpret_cast<const char*>(bytes.Data()), bytes.ByteLength()}};
}

ModelPlan::Storage to_storage(const Napi::Object& entry, size_t files) {
  ModelPlan::Storage storage{to_position(entry.Get("file"), files, "a storage is of no file"),
                             to_count(entry.Get("position"), "a position"),
                             to_count(entry.Get("bytes"), "a number of bytes"),
                             {}};
  if (entry.Has("crc32")) storage.crc32 = static_cast<uint32_t>(to_count(entry.Get("crc32"), "a checksum"));
  return storage;
}

InputSpec to_input(const Napi::Object& entry) {
  InputSpec spec{to_text(entry.Get("name"), "The name of an input"), entry.Get("isTensor").ToBoolean(), {}, {}};
  if (entry.Get("dtype").IsString()) spec.dtype = parse_dtype(to_text(entry.Get("dtype"), "dtype"));
  each(entry, "sizes", [&](const Napi::Value& value) {
    const auto size = to_object(value, "a size");
    const auto max = to_count(size.Get("max"), "a size");
    spec.sizes.push_back({static_cast<int64_t>(to_count(size.Get("min"), "a size")),
                          max >= 9007199254740991ULL ? InputSize::kAny : static_cast<int64_t>(max),
                          static_cast<int64_t>(to_count(size.Get("multiple"), "a size")),
                          to_text(size.Get("symbol"), "The symbol of a size")});
  });
  return spec;
}

}  // namespace

ModelPlan to_model_plan(const Napi::Value& value) {
  const auto object = to_object(value, "it");
  ModelPlan plan;
  each(object, "files", [&](const Napi::Value& file) { plan.files.push_back(to_file(file)); });
  each(object, "storages", [&](const Napi::Value& entry) {
    plan.storages.push_back(to_storage(to_object(entry, "a storage"), plan.files.size()));
  });
  each(object, "modules", [&](const Napi::Value& value) {
    const auto entry = to_object(value, "a module");
    plan.modules.push_back({to_text(entry.Get("path"), "A module path"), to_text(entry.Get("type"), "A module type")});
  });
  const auto module_of = [&](const Napi::Value& position) {
    return to_position(position, plan.modules.size(), "a module does not exist");
  };
  each(object, "tensors", [&](const Napi::Value& value) {
    const auto entry = to_object(value, "a tensor");
    std::optional<at::ScalarType> converted;
    if (entry.Has("convertTo")) converted = parse_dtype(to_text(entry.Get("convertTo"), "dtype"));
    plan.tensors.push_back({module_of(entry.Get("module")), to_text(entry.Get("name"), "The name of a tensor"),
                            entry.Get("isParameter").ToBoolean(),
                            to_position(entry.Get("storage"), plan.storages.size(), "a storage does not exist"),
                            parse_dtype(to_text(entry.Get("dtype"), "dtype")), to_integers(entry.Get("sizes"), "sizes"),
                            to_integers(entry.Get("strides"), "strides"),
                            static_cast<int64_t>(to_count(entry.Get("offset"), "an offset")), converted});
  });
  each(object, "children", [&](const Napi::Value& value) {
    const auto entry = to_object(value, "a child");
    plan.children.push_back({module_of(entry.Get("module")), to_text(entry.Get("name"), "The name of a module"),
                             module_of(entry.Get("child"))});
  });
  each(object, "methods", [&](const Napi::Value& value) {
    const auto entry = to_object(value, "the methods of a module");
    plan.methods.push_back({module_of(entry.Get("module")), to_text(entry.Get("text"), "The text of methods")});
  });
  each(object, "inputs",
       [&](const Napi::Value& entry) { plan.contract.inputs.push_back(to_input(to_object(entry, "an input"))); });
  if (const auto fixed = object.Get("fixedBatch"); fixed.IsObject())
    plan.contract.batch_fixed_by = to_text(fixed.As<Napi::Object>().Get("operator"), "The name of an operator");
  return plan;
}

Napi::Value load_plan(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto plan = std::make_shared<const ModelPlan>(to_model_plan(info[0]));
    ModelOptions options{parse_device(to_text(info[1], "device")), std::nullopt};
    const int threads = info[2].ToNumber();
    if (info[3].IsNumber()) options.split_bytes = to_byte_limit(info[3]);
    auto& environment = Environment::of(info.Env());
    return environment.submit<std::shared_ptr<Model>>(
        environment.executors().operators(), info[4].ToNumber(),
        [plan, options](const CancelFlag&) { return build_model(*plan, options); },
        [threads](Napi::Env env, std::shared_ptr<Model>& model) -> Napi::Value {
          return ModelHandle::wrap(env, model, Environment::of(env).executors().take(threads));
        });
  });
}

Napi::Value save_torchscript(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto plan = std::make_shared<const ModelPlan>(to_model_plan(info[0]));
    const auto path = to_text(info[1], "path");
    auto& environment = Environment::of(info.Env());
    return environment.submit<bool>(
        environment.executors().operators(), info[2].ToNumber(),
        [plan, path](const CancelFlag&) {
          save_as_torchscript(*plan, path);
          return true;
        },
        [](Napi::Env env, bool&) { return env.Undefined(); });
  });
}

Napi::Value load_library(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto path = to_text(info[0], "The path of a library");
    auto& environment = Environment::of(info.Env());
    return environment.submit<bool>(
        environment.executors().operators(), info[1].ToNumber(),
        [path](const CancelFlag&) {
          load_operator_library(path);
          return true;
        },
        [](Napi::Env env, bool&) { return env.Undefined(); });
  });
}

}  // namespace gradcam::node
