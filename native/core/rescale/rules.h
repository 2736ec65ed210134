#pragma once
#include <torch/csrc/autograd/function.h>

#include <string>

#include "core/base/ivalues.h"

namespace gradcam {

// The operators that have a rule.
enum class RescaleKind { none, elementwise, max_pool };

// By the name of an operator, in-place or not ("aten::relu_").
RescaleKind rescale_kind(const std::string& name);

// The input and output of a call of such an operator, outside the graph. They must not be changed in place.
struct RescaleValues {
  Tensor x, y, indices;  // indices for max-pooling: of each y in its plane of x
};

// Installs the rule as a hook on the autograd node of `output`, the call at the input. False where that is not the
// operator's own node (an in-place change of a part of a tensor), or where the shapes show that it was not elementwise.
//
// Max-pooling, with m = max(y, y0): g (m - y0) goes to the position of y in x, g (y - m) to the position of y0 in x0,
// summed over overlapping windows, and divided by x - x0 there.
bool install_rule(RescaleKind kind, const std::string& name, const Tensor& output, const RescaleValues& at_input,
                  const RescaleValues& at_baseline);

// Whether the rule of a node is installed.
bool has_rule(const torch::autograd::Node& node);

}  // namespace gradcam
