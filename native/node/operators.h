#pragma once
#include <napi.h>

namespace gradcam::node {

// operator(name, overloads, arguments): calls the first of the overloads in LibTorch's dispatcher whose schema the
// arguments fit, at once and on the calling thread. A plain object as the last argument gives arguments by name, in
// camelCase.
Napi::Value call_operator(const Napi::CallbackInfo& info);

// operatorAsync(name, overloads, arguments, ticket): the same on the executor of operators.
Napi::Value call_operator_async(const Napi::CallbackInfo& info);

}  // namespace gradcam::node
