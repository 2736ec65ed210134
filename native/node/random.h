#pragma once
#include <napi.h>

namespace gradcam::node {

// Numbers of a CPU generator of the given seed, drawn on the executor of operators: those that PyTorch draws with it.

// randomNormal(shape, dtype, seed, ticket) -> the numbers of torch.randn
Napi::Value random_normal(const Napi::CallbackInfo& info);

// randomUniform(shape, dtype, seed, ticket) -> the numbers of torch.rand
Napi::Value random_uniform(const Napi::CallbackInfo& info);

}  // namespace gradcam::node
