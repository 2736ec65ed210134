#pragma once
#include <napi.h>

#include "core/model/model_plan.h"

namespace gradcam::node {

// See NativePlan in lib/addon/native-model.ts.
ModelPlan to_model_plan(const Napi::Value& value);

// loadPlan(plan, device, threads (0: the usual number), split bytes | undefined, ticket)
Napi::Value load_plan(const Napi::CallbackInfo& info);
// saveTorchScript(plan, path, ticket)
Napi::Value save_torchscript(const Napi::CallbackInfo& info);

// loadLibrary(path, ticket)
Napi::Value load_library(const Napi::CallbackInfo& info);

}  // namespace gradcam::node
