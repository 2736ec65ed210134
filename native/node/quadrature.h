#pragma once
#include <napi.h>

namespace gradcam::node {

// gaussLegendre(count) -> { points, weights }: see core/base/quadrature.h
Napi::Value quadrature_points(const Napi::CallbackInfo& info);

}  // namespace gradcam::node
