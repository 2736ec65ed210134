#pragma once
#include <torch/script.h>

#include <functional>
#include <string>
#include <vector>

namespace gradcam {

using at::IValue;
using torch::Tensor;

// Calls `fn` on every tensor inside nested tuples, lists and dicts, in order.
void for_each_tensor(const IValue& value, const std::function<void(const Tensor&)>& fn);

// The same structure with every tensor replaced by fn(tensor). Lists and dicts are copied, never changed in place.
IValue map_tensors(const IValue& value, const std::function<Tensor(const Tensor&)>& fn);

// Whether no tensor of floating-point numbers holds NaN or an infinity.
bool all_finite(const std::vector<IValue>& values);

// A shape for messages, e.g. [2, 3, 8, 8].
std::string shape_text(const Tensor& tensor);

}  // namespace gradcam
