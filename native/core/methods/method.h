#pragma once
#include <torch/script.h>

#include <string>

namespace gradcam {

using torch::Tensor;

// A method that makes a map from a target layer: activation A and gradient G = d(sum of scores)/dA, both
// [N, C, spatial...], give [N, 1, spatial...] in at least float32. Each has a file with its formula and its source.
struct LayerMethod {
  const char* name;
  Tensor (*map)(const Tensor& activation, const Tensor& gradient);
};

// The method of that name, or ERR_INVALID_ARGUMENT with the names there are.
const LayerMethod& layer_method(const std::string& name);

Tensor grad_cam(const Tensor& activation, const Tensor& gradient);

}  // namespace gradcam
