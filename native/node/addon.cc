#include <ATen/Parallel.h>
#include <napi.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/cuda.h>
#include <torch/script.h>
#include <torch/version.h>

#include <cstring>

#include "attribution.h"
#include "convert.h"
#include "core/base/cuda_libraries.h"
#include "core/base/error.h"
#include "core/base/process_limits.h"
#include "core/maps/maps.h"
#include "core/memory/caching_allocator.h"
#include "core/model/readers.h"
#include "handles.h"
#include "images.h"
#include "metrics.h"
#include "model_plan.h"
#include "operators.h"
#include "plan.h"
#include "quadrature.h"
#include "random.h"

namespace gradcam::node {

namespace {

Napi::Value info(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    auto object = Napi::Object::New(info.Env());
    object.Set("torchVersion", TORCH_VERSION);
    const auto& [built, loaded, problem] = cuda_libraries();
    object.Set("cudaBuild", built);
    object.Set("cudaProblem", problem);
    object.Set("cuda", torch::cuda::is_available());
    object.Set("cudaDevices", static_cast<double>(torch::cuda::device_count()));
    object.Set("threads", Environment::of(info.Env()).executors().threads());
    return object;
  });
}

Napi::Value live_tensors(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(Environment::of(info.Env()).live_tensors));
}

// releaseBytes(array: Uint8Array): frees the memory of an array that has all of its buffer, which is empty from then
// on.
void release_bytes(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const auto array = info[0].As<Napi::TypedArray>();
    auto buffer = array.ArrayBuffer();
    if (array.ByteLength() == buffer.ByteLength() && !buffer.IsDetached()) buffer.Detach();
  });
}

Napi::Value memory(const Napi::CallbackInfo& info) {
  const auto [live, idle, most_live, limit] = tensor_memory();
  auto object = Napi::Object::New(info.Env());
  object.Set("live", static_cast<double>(live));
  object.Set("idle", static_cast<double>(idle));
  object.Set("mostLive", static_cast<double>(most_live));
  object.Set("limit", from_byte_limit(limit));
  return object;
}

// limitMemory(bytes: Infinity for no limit)
void limit_memory(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] { limit_tensor_memory(to_byte_limit(info[0])); });
}

void empty_cache(const Napi::CallbackInfo&) { release_idle_tensor_memory(); }

void set_threads(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] { Environment::of(info.Env()).executors().set_threads(info[0].ToNumber().Int32Value()); });
}

void manual_seed(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] { at::manual_seed(static_cast<uint64_t>(info[0].ToNumber().Int64Value())); });
}

// setErrorFactory(factory: (code, message, details: object | undefined) -> error)
void set_error_factory(const Napi::CallbackInfo& info) {
  Environment::of(info.Env()).errors().set_factory(info[0].As<Napi::Function>());
}

// setWarningListener(listener: (texts: string[]) => void): for warnings of calls whose results cannot hold them
void set_warning_listener(const Napi::CallbackInfo& info) {
  Environment::of(info.Env()).warning_listener = Napi::Persistent(info[0].As<Napi::Function>());
}

// limitProcess(bytes, seconds)
void limit_this_process(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] { limit_process(to_byte_limit(info[0]), info[1].ToNumber().Uint32Value()); });
}

void stop(const Napi::CallbackInfo& info) { Environment::of(info.Env()).stop(); }

void cancel(const Napi::CallbackInfo& info) { Environment::of(info.Env()).tickets().cancel(info[0].ToNumber()); }

// runs(ticket) -> [done, total], or null where the call counts none
Napi::Value runs_of_call(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  const auto* runs = Environment::of(env).tickets().runs(info[0].ToNumber());
  if (!runs) return env.Null();
  const auto pair = Napi::Array::New(env, 2);
  pair.Set(uint32_t{0}, static_cast<double>(runs->done()));
  pair.Set(uint32_t{1}, static_cast<double>(runs->total()));
  return pair;
}

// tensor(bytes: Uint8Array, dtype, shape, device) -> a tensor with a copy of the bytes
Napi::Value make_tensor(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto bytes = info[0].As<Napi::Uint8Array>();
    const auto dtype = parse_dtype(to_text(info[1], "dtype"));
    const auto tensor = at::empty(to_integers(info[2], "shape"), at::TensorOptions(dtype));
    if (tensor.nbytes() != bytes.ByteLength())
      throw Error("ERR_SHAPE", "The shape requires " + std::to_string(tensor.nbytes()) + " bytes of data, but " +
                                   std::to_string(bytes.ByteLength()) + " were given.");
    if (tensor.nbytes()) std::memcpy(tensor.mutable_data_ptr(), bytes.Data(), tensor.nbytes());
    return TensorHandle::wrap(info.Env(), tensor.to(parse_device(to_text(info[3], "device"))));
  });
}

// backward(tensor, gradient | null, retainGraph, ticket)
Napi::Value backward(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto tensor = unwrap_tensor(info[0]);
    const auto gradient = info[1].IsNull() ? Tensor() : unwrap_tensor(info[1]);
    if (!tensor.requires_grad())
      throw Error("ERR_NO_GRADIENT", "This Tensor does not depend on anything that requires a gradient.",
                  Remedy{"Set requiresGrad "
                         "on an input before it is computed."});
    if (!gradient.defined() && tensor.numel() != 1)
      throw Error("ERR_SHAPE", "Only a scalar can be differentiated without a gradient of its own.",
                  Remedy{"Sum it, or pass one."});
    const bool retain = info[2].ToBoolean();
    auto& environment = Environment::of(info.Env());
    return environment.submit<bool>(
        environment.executors().operators(), info[3].ToNumber(),
        [tensor, gradient, retain](const CancelFlag&) {
          torch::autograd::backward({tensor}, {gradient}, retain);
          return true;
        },
        [](Napi::Env env, bool&) { return env.Undefined(); });
  });
}

// loadModel(path: string | bytes: Uint8Array, device, threads (0: the usual number), split bytes | undefined, ticket)
Napi::Value load_model(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    auto source = std::make_shared<ModelSource>();
    if (info[0].IsString()) {
      source->path = to_text(info[0], "path");
    } else {
      const auto bytes = info[0].As<Napi::Uint8Array>();
      source->bytes.assign(reinterpret_cast<const char*>(bytes.Data()), bytes.ByteLength());
    }
    ModelOptions options{parse_device(to_text(info[1], "device")), std::nullopt};
    const int threads = info[2].ToNumber();
    if (info[3].IsNumber()) options.split_bytes = to_byte_limit(info[3]);
    auto& environment = Environment::of(info.Env());
    // On the model's own executor: a file whose code never returns holds up nothing else.
    auto executor = environment.executors().take(threads);
    return environment.submit<std::shared_ptr<Model>>(
        *executor, info[4].ToNumber(), [source, options](const CancelFlag&) { return open_model(*source, options); },
        [executor](Napi::Env env, std::shared_ptr<Model>& model) -> Napi::Value {
          return ModelHandle::wrap(env, model, executor);
        });
  });
}

// pass(model, plan: PassPlan)
Napi::Value make_pass(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto& handle = unwrap_model_handle(info[0]);
    auto plan = to_pass_plan(info[1].As<Napi::Object>());
    return PassHandle::wrap(info.Env(), std::make_shared<Pass>(handle.model(), std::move(plan)), handle.executor());
  });
}

Napi::Value layer_methods(const Napi::CallbackInfo& info) {
  auto names = Napi::Array::New(info.Env());
  for (const auto& name : layer_method_names()) names[names.Length()] = name;
  return names;
}

// layoutOf(shape of an output, spatial sizes of the input, model?, layer?) -> 'channels-first', 'tokens' or
// 'channels-last'
Napi::Value layout_name(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const bool known = info[2].IsObject();
    const auto features = known
                              ? features_of(unwrap_model_handle(info[2]).model()->module_at(info[3].As<Napi::String>()))
                              : FeatureSizes{};
    const auto layout = layout_of(to_integers(info[0], "shape"), to_integers(info[1], "input size"), features);
    return Napi::String::New(info.Env(), layout == Layout::tokens          ? "tokens"
                                         : layout == Layout::channels_last ? "channels-last"
                                                                           : "channels-first");
  });
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  install_caching_allocator();
  cuda_libraries();  // before anything asks for a device
  const auto environment = Environment::create(env);
  environment->tensor_class = Napi::Persistent(TensorHandle::define(env));
  environment->model_class = Napi::Persistent(ModelHandle::define(env));
  environment->pass_class = Napi::Persistent(PassHandle::define(env));

  const std::pair<const char*, Napi::Value (*)(const Napi::CallbackInfo&)> functions[] = {
      {"info", info},
      {"liveTensors", live_tensors},
      {"tensor", make_tensor},
      {"backward", backward},
      {"loadModel", load_model},
      {"loadPlan", load_plan},
      {"saveTorchScript", save_torchscript},
      {"loadLibrary", load_library},
      {"pass", make_pass},
      {"layerMethods", layer_methods},
      {"layoutOf", layout_name},
      {"randomNormal", random_normal},
      {"operator", call_operator},
      {"operatorAsync", call_operator_async},
      {"memory", memory},
      {"frameImage", frame_image_async},
      {"unpackPixels", unpack_pixels_async},
      {"drawMap", draw_map_async},
      {"overlay", overlay_images},
      {"colorize", colorize_values},
      {"superpixels", superpixels_async},
      {"felzenszwalb", felzenszwalb_async},
      {"regionGains", region_gains_async},
      {"paintConcepts", paint_concepts_async},
      {"randomizedModel", randomized_model_async},
      {"impute", impute_async},
      {"guidedStep", guided_step_async},
      {"randomUniform", random_uniform},
      {"runs", runs_of_call},
      {"gaussLegendre", quadrature_points},
  };
  for (const auto& [name, function] : functions) exports.Set(name, Napi::Function::New(env, function, name));
  const std::pair<const char*, void (*)(const Napi::CallbackInfo&)> procedures[] = {
      {"setThreads", set_threads},
      {"releaseBytes", release_bytes},
      {"setErrorFactory", set_error_factory},
      {"setWarningListener", set_warning_listener},
      {"cancel", cancel},
      {"manualSeed", manual_seed},
      {"stop", stop},
      {"emptyCache", empty_cache},
      {"limitMemory", limit_memory},
      {"limitProcess", limit_this_process},
  };
  for (const auto& [name, procedure] : procedures) exports.Set(name, Napi::Function::New(env, procedure, name));
  exports.Set("TensorHandle", environment->tensor_class.Value());
  return exports;
}

}  // namespace

}  // namespace gradcam::node

static Napi::Object initialize(Napi::Env env, Napi::Object exports) { return gradcam::node::init(env, exports); }

NODE_API_MODULE(gradcam, initialize)
