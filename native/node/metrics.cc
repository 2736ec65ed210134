#include "metrics.h"

#include "convert.h"
#include "core/metrics/impute.h"
#include "handles.h"

namespace gradcam::node {

namespace {

Napi::Value wrap_tensor(Napi::Env env, Tensor& tensor) { return TensorHandle::wrap(env, tensor); }

}  // namespace

Napi::Value randomized_model_async(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto& handle = unwrap_model_handle(info[0]);
    const auto model = handle.model();
    const auto executor = handle.executor();
    std::vector<std::string> paths;
    const auto given = info[1].As<Napi::Array>();
    for (uint32_t i = 0; i < given.Length(); ++i) paths.push_back(to_text(given[i], "A module path"));
    const auto seed = static_cast<uint64_t>(info[2].ToNumber().Int64Value());
    return Environment::of(info.Env())
        .submit<std::shared_ptr<Model>>(
            *executor, info[3].ToNumber(),
            [model, paths, seed](const CancelFlag&) { return model->randomized(paths, seed); },
            [executor](Napi::Env env, std::shared_ptr<Model>& copy) -> Napi::Value {
              return ModelHandle::wrap(env, copy, executor);
            });
  });
}

Napi::Value impute_async(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto images = unwrap_tensor(info[0]), keep = unwrap_tensor(info[1]);
    auto& environment = Environment::of(info.Env());
    return environment.submit<Tensor>(
        environment.executors().operators(), info[2].ToNumber(),
        [images, keep](const CancelFlag& cancel) { return impute(images, keep, cancel); }, wrap_tensor);
  });
}

}  // namespace gradcam::node
