#pragma once
#include <torch/script.h>

#include <functional>
#include <string>
#include <vector>

namespace gradcam {

using at::IValue;
using torch::Tensor;

// Calls `fn` on every tensor inside nested tuples, lists, dicts and objects (that are not modules), in order.
void for_each_tensor(const IValue& value, const std::function<void(const Tensor&)>& fn);

// The same structure with every tensor replaced by fn(tensor). Lists, dicts and objects are copied, never changed in
// place.
IValue map_tensors(const IValue& value, const std::function<Tensor(const Tensor&)>& fn);

// Whether an input of that type takes a list of images, each [C, H, W], as object detectors do.
bool is_image_list(const c10::Type& type);

// Turns tensors [N, ...] that were given for lists of images into these lists. The arguments of a call of `schema`,
// from `first` on.
void unbind_image_lists(std::vector<IValue>& values, const c10::FunctionSchema& schema, size_t first);

// Whether no tensor of floating-point numbers holds NaN or an infinity.
bool all_finite(const std::vector<IValue>& values);

// A shape for messages, e.g. [2, 3, 8, 8].
std::string shape_text(const Tensor& tensor);

}  // namespace gradcam
