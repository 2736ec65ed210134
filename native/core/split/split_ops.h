#pragma once
#include <torch/script.h>

#include "core/base/cancel.h"

namespace gradcam {

// Operators of our own, for the graphs of a split model. LibTorch's registry of operators is one for the process; their
// state belongs to a node of a graph.
namespace ops {
extern const c10::Symbol check_cancelled;    // () -> ()
extern const c10::Symbol fixed_batch_norm;   // (Tensor[] inputs, Tensor scale, Tensor shift, bool relu) -> Tensor
extern const c10::Symbol fixed_convolution;  // (Tensor input, Tensor weight, Tensor? bias, int[] stride, int[] padding,
                                             //  int[] dilation, int groups, bool relu) -> Tensor; only the input varies
extern const c10::Symbol
    fused_convolution;  // (Tensor[] inputs, Tensor? residual, Tensor? scale, Tensor? shift, bool relu
                        //  before, then as above from the weight) -> Tensor; of the concatenation,
                        //  normalised, plus the residual. Records no graph.
}  // namespace ops

void register_operators();

// Has every loop of the graph check for cancellation before each turn.
void check_loops(torch::jit::Graph& graph);
// Removes the checks again: they stand in the way of optimisations.
void remove_checks(torch::jit::Graph& graph);

// While it lives, graphs that run on this thread check `cancel`, which may be null, where they check for cancellation.
class CancelScope {
 public:
  explicit CancelScope(const CancelFlag* cancel);
  ~CancelScope();

 private:
  const CancelFlag* outer_;
};

}  // namespace gradcam
