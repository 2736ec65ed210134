#pragma once
#include <napi.h>

namespace gradcam::node {

// guidedStep([at, attribution], gradient, input, baseline, share, fraction, maxDistance, ticket) -> [at, attribution],
// on the executor thread of operators: see core/attribution/guided_path.h
Napi::Value guided_step_async(const Napi::CallbackInfo& info);

}  // namespace gradcam::node
