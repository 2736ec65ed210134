#pragma once
#include <torch/csrc/autograd/function.h>

#include <string>

#include "core/base/ivalues.h"

namespace gradcam {

// What there is a rule for.
enum class RescaleKind { none, elementwise, max_pool };

// Of an operator by its name, in place or not ("aten::relu_").
RescaleKind rescale_kind(const std::string& name);

// What a call of such an operator was given and made, off the graph. Not to be changed by anyone.
struct RescaleValues {
  Tensor x, y, indices;  // indices for max-pooling: of each y in its plane of x
};

// Puts the rule on the node that recorded the call at the input. False where that is another node than the operator's
// own (a change of a part of a tensor in place), or where the shapes say that it was not elementwise.
//
// Max-pooling, with m = max(y, y0): g (m - y0) goes to where y came from in x, g (y - m) to where y0 came from in x0,
// summed over windows that overlap, and divided by x - x0 there.
bool put_rule(RescaleKind kind, const std::string& name, const Tensor& output, const RescaleValues& at_input,
              const RescaleValues& at_baseline);

// Whether a node has a rule.
bool has_rule(const torch::autograd::Node& node);

}  // namespace gradcam
