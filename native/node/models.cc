#include <limits>
#include <tuple>

#include "convert.h"
#include "core/base/error.h"
#include "core/model/input_layout.h"
#include "core/split/split_cache.h"
#include "handles.h"
#include "model_hooks.h"

namespace gradcam::node {

Napi::Function ModelHandle::define(Napi::Env env) {
  return DefineClass(
      env, "ModelHandle",
      {InstanceMethod<&ModelHandle::facts>("facts"), InstanceMethod<&ModelHandle::modules>("modules"),
       InstanceMethod<&ModelHandle::operators>("operators"), InstanceMethod<&ModelHandle::arguments>("arguments"),
       InstanceMethod<&ModelHandle::forward>("forward"), InstanceMethod<&ModelHandle::add_hook>("addHook"),
       InstanceMethod<&ModelHandle::remove_hook>("removeHook"), InstanceMethod<&ModelHandle::check_layer>("checkLayer"),
       InstanceMethod<&ModelHandle::splits>("splits"), InstanceMethod<&ModelHandle::fingerprint>("fingerprint"),
       InstanceMethod<&ModelHandle::channels_last>("hasChannelsLast"),
       InstanceMethod<&ModelHandle::images_at_once>("imagesAtOnce"),
       InstanceMethod<&ModelHandle::take_at_once>("takeAtOnce"), InstanceMethod<&ModelHandle::dispose>("dispose")});
}

Napi::Object ModelHandle::wrap(Napi::Env env, std::shared_ptr<Model> model, std::shared_ptr<Executor> executor) {
  auto parts = std::pair(std::move(model), std::move(executor));
  return Environment::of(env).model_class.New({Napi::External<decltype(parts)>::New(env, &parts)});
}

ModelHandle::ModelHandle(const Napi::CallbackInfo& info)
    : ObjectWrap(info), environment_(Environment::of(info.Env()).shared_from_this()) {
  std::tie(model_, executor_) =
      *constructor_argument<std::pair<std::shared_ptr<Model>, std::shared_ptr<Executor>>>(info);
  info.This().As<Napi::Object>().TypeTag(&kModelTag);
}

ModelHandle::~ModelHandle() { release(); }

void ModelHandle::release() {
  if (!model_) return;
  model_->hooks().clear();
  hooks_.clear();
  model_.reset();  // a run that is under way keeps it until it ends
  executor_.reset();
}

void ModelHandle::dispose(const Napi::CallbackInfo&) { release(); }

const char* name_of(Ending ending) {
  switch (ending) {
    case Ending::softmax:
      return "softmax";
    case Ending::log_softmax:
      return "log_softmax";
    case Ending::sigmoid:
      return "sigmoid";
    case Ending::other:
      break;
  }
  return "";
}

namespace {

Napi::Value to_value(Napi::Env env, const std::optional<FirstConvolution>& convolution) {
  if (!convolution) return env.Null();
  auto object = Napi::Object::New(env);
  object.Set("channels", static_cast<double>(convolution->channels));
  object.Set("dimensions", static_cast<double>(convolution->dimensions));
  object.Set("layer", convolution->layer);
  return object;
}

// Without `self`.
Napi::Array input_names(Napi::Env env, const c10::FunctionSchema& schema) {
  auto names = Napi::Array::New(env);
  for (size_t i = 1; i < schema.arguments().size(); ++i)
    names[static_cast<uint32_t>(i - 1)] = schema.arguments()[i].name();
  return names;
}

}  // namespace

// facts() -> { device, dtype, hookable, splittable, differentiable, findings: [{ kind, operator, layer }], ending,
// changes, firstConvolutions: by input [null | { channels, dimensions, layer }], indexInputs: by input [boolean],
// inputs: names }
Napi::Value ModelHandle::facts(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto env = info.Env();
    const auto& model = *unwrap_model(info.This());
    const auto [hookable, splittable, differentiable] = model.capabilities();
    const auto dtype = model.dtype();
    auto facts = Napi::Object::New(env);
    facts.Set("device", model.device().str());
    facts.Set("dtype", dtype ? Napi::Value(Napi::String::New(env, dtype_name(*dtype))) : env.Null());
    facts.Set("hookable", hookable);
    facts.Set("splittable", splittable);
    facts.Set("differentiable", differentiable);
    const auto& code = model.code();
    auto findings = Napi::Array::New(env, code.findings.size());
    for (uint32_t i = 0; i < code.findings.size(); ++i) {
      const auto& [kind, op, layer] = code.findings[i];
      auto finding = Napi::Object::New(env);
      finding.Set("kind", kind == Finding::Kind::random ? "random" : "batch-statistics");
      finding.Set("operator", op);
      finding.Set("layer", layer);
      findings[i] = finding;
    }
    facts.Set("findings", findings);
    facts.Set("ending", name_of(code.ending));
    facts.Set("changes", code.changes);
    auto convolutions = Napi::Array::New(env, code.first_convolutions.size());
    for (uint32_t i = 0; i < code.first_convolutions.size(); ++i)
      convolutions[i] = to_value(env, code.first_convolutions[i]);
    facts.Set("firstConvolutions", convolutions);
    auto indices = Napi::Array::New(env, code.index_inputs.size());
    for (uint32_t i = 0; i < code.index_inputs.size(); ++i) indices[i] = Napi::Boolean::New(env, code.index_inputs[i]);
    facts.Set("indexInputs", indices);
    facts.Set("inputs", input_names(env, model.forward_schema()));
    return facts;
  });
}

Napi::Value ModelHandle::modules(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto env = info.Env();
    const auto& submodules = unwrap_model(info.This())->submodules();
    auto list = Napi::Array::New(env, submodules.size());
    for (uint32_t i = 0; i < submodules.size(); ++i) {
      auto entry = Napi::Object::New(env);
      entry.Set("path", submodules[i].path);
      entry.Set("typeName", submodules[i].type_name);
      entry.Set("parameters", static_cast<double>(submodules[i].parameters));
      entry.Set("hookable", submodules[i].hookable);
      list[i] = entry;
    }
    return list;
  });
}

Napi::Value ModelHandle::operators(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto names = unwrap_model(info.This())->operators();
    auto list = Napi::Array::New(info.Env(), names.size());
    for (uint32_t i = 0; i < names.size(); ++i) list[i] = names[i];
    return list;
  });
}

namespace {

// Whether an argument of that type takes an object of JavaScript: a dict or a named tuple.
bool takes_object(const c10::TypePtr& type) {
  if (const auto* optional = type->castRaw<c10::OptionalType>()) return takes_object(optional->getElementType());
  const auto* tuple = type->castRaw<c10::TupleType>();
  return type->kind() == c10::TypeKind::DictType || (tuple && tuple->schema());
}

}  // namespace

// arguments() -> [{ name, type, takesObject }]: what `forward` takes, in order
Napi::Value ModelHandle::arguments(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto& arguments = unwrap_model(info.This())->forward_schema().arguments();
    auto list = Napi::Array::New(info.Env());
    for (uint32_t i = 1; i < arguments.size(); ++i) {  // the first is self
      auto entry = Napi::Object::New(info.Env());
      entry.Set("name", arguments[i].name());
      entry.Set("type", arguments[i].type()->repr_str());
      entry.Set("takesObject", takes_object(arguments[i].type()));
      list[i - 1] = entry;
    }
    return list;
  });
}

// forward(inputs, ticket)
Napi::Value ModelHandle::forward(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    auto model = unwrap_model(info.This());
    auto inputs = to_inputs(info[0], model->forward_schema());
    return environment_->submit<at::IValue>(
        *executor_, info[1].ToNumber(),
        [model, inputs](const CancelFlag& cancel) { return model->run(inputs, nullptr, &cancel); },
        [](Napi::Env env, at::IValue& output) { return to_javascript(env, output); });
  });
}

// fingerprint(ticket) -> the model's, see fingerprint_of: it reads all parameters
Napi::Value ModelHandle::fingerprint(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return environment_->submit<std::string>(
        *executor_, info[0].ToNumber(),
        [model = unwrap_model(info.This())](const CancelFlag&) { return model->fingerprint(); },
        [](Napi::Env env, std::string& text) { return Napi::String::New(env, text); });
  });
}

// imagesAtOnce() -> { min, max }: how many images the model takes at a time; max is Infinity where nothing bounds it
Napi::Value ModelHandle::images_at_once(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto batch = unwrap_model(info.This())->batch();
    auto object = Napi::Object::New(info.Env());
    object.Set("min", static_cast<double>(batch.min));
    object.Set("max",
               batch.max == InputSize::kAny ? std::numeric_limits<double>::infinity() : static_cast<double>(batch.max));
    return object;
  });
}

// takeAtOnce(images, ticket): see Model::take_at_once
Napi::Value ModelHandle::take_at_once(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    auto model = unwrap_model(info.This());
    const auto images = info[0].ToNumber().Int64Value();
    return environment_->submit<bool>(
        *executor_, info[1].ToNumber(),
        [model, images](const CancelFlag&) {
          model->take_at_once(images);
          return true;
        },
        [](Napi::Env env, bool& done) -> Napi::Value { return Napi::Boolean::New(env, done); });
  });
}

// hasChannelsLast(input, shape): whether such an input is [N, H, W, C]
Napi::Value ModelHandle::channels_last(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto& model = *unwrap_model(info.This());
    const auto input = static_cast<size_t>(info[0].ToNumber().Int64Value());
    return Napi::Boolean::New(info.Env(), has_channels_last(model, to_integers(info[1], "shape"), input));
  });
}

Napi::Value ModelHandle::splits(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto& cache = unwrap_model(info.This())->splits();
    const auto [kept, bytes, built] = cache.counts();
    auto object = Napi::Object::New(info.Env());
    object.Set("kept", static_cast<double>(kept));
    object.Set("bytes", static_cast<double>(bytes));
    object.Set("limit", from_byte_limit(cache.max_bytes()));
    object.Set("built", static_cast<double>(built));
    return object;
  });
}

void ModelHandle::check_layer(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] { unwrap_model(info.This())->module_at(to_text(info[0], "A layer path")); });
}

// addHook(kind, path, function) -> id
Napi::Value ModelHandle::add_hook(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto& model = unwrap_model(info.This());
    const auto kind = to_text(info[0], "The kind of a hook");
    const auto object = model->module_at(to_text(info[1], "A layer path"));
    const auto function = environment_->keep(info[2].As<Napi::Object>());
    HookId id = 0;
    if (kind == "forwardPre")
      id = model->hooks().add(object, forward_pre_hook(function));
    else if (kind == "forward")
      id = model->hooks().add(object, forward_hook(function));
    else
      id = model->hooks().add(object, full_backward_hook(function));
    hooks_.insert(id);
    return Napi::Number::New(info.Env(), static_cast<double>(id));
  });
}

// removeHook(id)
void ModelHandle::remove_hook(const Napi::CallbackInfo& info) {
  const auto id = static_cast<HookId>(info[0].ToNumber().Int64Value());
  if (model_ && hooks_.erase(id)) model_->hooks().remove(id);
}

}  // namespace gradcam::node
