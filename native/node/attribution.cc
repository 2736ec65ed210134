#include "attribution.h"

#include "core/attribution/guided_path.h"
#include "handles.h"

namespace gradcam::node {

Napi::Value guided_step_async(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto given = info[0].As<Napi::Array>();
    const GuidedPaths paths{unwrap_tensor(given[0U]), unwrap_tensor(given[1U])};
    const auto gradient = unwrap_tensor(info[1]), input = unwrap_tensor(info[2]), baseline = unwrap_tensor(info[3]);
    const double share = info[4].ToNumber();
    const GuidedPathBounds bounds{info[5].ToNumber(), info[6].ToNumber()};
    auto& environment = Environment::of(info.Env());
    return environment.submit<GuidedPaths>(
        environment.executors().operators(), info[7].ToNumber(),
        [=](const CancelFlag&) { return guided_step(paths, gradient, input, baseline, share, bounds); },
        [](Napi::Env env, GuidedPaths& next) -> Napi::Value {
          auto result = Napi::Array::New(env, 2);
          result[0U] = TensorHandle::wrap(env, next.at);
          result[1U] = TensorHandle::wrap(env, next.attribution);
          return result;
        });
  });
}

}  // namespace gradcam::node
