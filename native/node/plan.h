#pragma once
#include <napi.h>

#include "core/pass/pass.h"

namespace gradcam::node {

// What lib/addon/native-pass.ts calls PassPlan and NativeTarget, as the core takes them. lib/ has validated their
// values; here wrong types are refused.
PassPlan to_pass_plan(const Napi::Object& plan);
Target to_target(const Napi::Value& target);

}  // namespace gradcam::node
