#pragma once
#include <napi.h>
#include <torch/script.h>

#include <string>
#include <vector>

#include "core/base/dtype.h"

namespace gradcam::node {

constexpr double kLargestSafeInteger = 9007199254740991.0;

// 'cpu', 'cuda', 'cuda:N', or 'auto' for CUDA where there is one.
at::Device parse_device(const std::string& name);

// Converts a JavaScript value to a TorchScript type. Throws an Error with `what` in its text where it does not fit.
at::IValue to_ivalue(const Napi::Value& value, const c10::TypePtr& type, const std::string& what);

// Tensors become handles, tuples and lists arrays, named tuples, dicts and objects become objects; a dict whose keys
// have no text an array of [key, value].
Napi::Value to_javascript(Napi::Env env, const at::IValue& value);

std::vector<int64_t> to_integers(const Napi::Value& value, const std::string& what);
std::string to_text(const Napi::Value& value, const std::string& what);

// A limit in bytes, where Infinity and kNoMemoryLimit mean that there is none.
size_t to_byte_limit(const Napi::Value& value);
double from_byte_limit(size_t bytes);

// The arguments of a call of `schema`, after `self`: a JavaScript array, converted one by one, with defaults for the
// rest. A tensor that is given for a list of tensors stays one, see unbind_image_lists.
std::vector<at::IValue> to_inputs(const Napi::Value& values, const c10::FunctionSchema& schema);

}  // namespace gradcam::node
