#include "quadrature.h"

#include "core/base/quadrature.h"
#include "handles.h"

namespace gradcam::node {

Napi::Value quadrature_points(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto env = info.Env();
    const auto found = gauss_legendre(info[0].ToNumber().Int64Value());
    auto points = Napi::Array::New(env, found.size()), weights = Napi::Array::New(env, found.size());
    for (uint32_t i = 0; i < found.size(); ++i) {
      points[i] = found[i].first;
      weights[i] = found[i].second;
    }
    auto result = Napi::Object::New(env);
    result.Set("points", points);
    result.Set("weights", weights);
    return result;
  });
}

}  // namespace gradcam::node
