#pragma once
#include <ATen/core/ivalue.h>
#include <torch/csrc/jit/ir/ir.h>

namespace gradcam {

// Prepares a graph whose calls are inlined for LibTorch's optimisations, which rest on what schemas say. They do not
// say that some operators may return their input itself: there an operator in place changes both, but optimisations see
// two tensors, and drop or move the change. Dropouts that are off are replaced by their input; for the others see
// below.
//
// With `keeps_relus`, ReLUs that read the same value are not merged into one either: guided backprop and deconvnet
// apply their rule to the gradient of each, which is not their rule for the sum.
//
// `self` is the module whose method the graph is. Throws CannotSplit where an operator that may return its input is
// beside one in place; and where the layout of memory decides what a program computes, since a split lays out
// activations otherwise: by as_strided, or by an operator in place on what contiguous, reshape or flatten returned,
// which is their input itself in one layout and a copy in another.
void prepare_freezing(torch::jit::Graph& graph, const c10::ivalue::Object* self, bool keeps_relus);

}  // namespace gradcam
