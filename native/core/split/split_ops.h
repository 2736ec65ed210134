#pragma once
#include <torch/script.h>

#include <vector>

#include "core/autograd/autograd_node.h"
#include "core/autograd/gated_convolution.h"
#include "core/base/cancel.h"

namespace gradcam {

// Operators of our own, for the graphs of a split model. LibTorch's registry of operators is one for the process; their
// state belongs to a node of a graph.
namespace ops {
extern const c10::Symbol check_cancelled;   // () -> ()
extern const c10::Symbol fixed_batch_norm;  // (Tensor[] inputs, Tensor scale, Tensor shift, bool relu) -> Tensor
extern const c10::Symbol
    fixed_convolution;  // (Tensor input, Tensor weight, Tensor? factors, Tensor? bias, int[] stride,
                        //  int[] padding, int[] dilation, int groups, bool relu) -> Tensor; only
                        //  the input varies. Each output is multiplied by its factor.
extern const c10::Symbol
    fused_convolution;  // (Tensor[] inputs, Tensor? residual, Tensor? scale, Tensor? shift, bool relu
                        //  before, then as above from the weight) -> Tensor; of the concatenation,
                        //  normalised, plus the residual. Records no graph.
extern const c10::Symbol equal_convolution;  // (Tensor input, Tensor weight, Tensor? bias, int[] stride, int[] padding,
                                             //  int[] dilation, int groups) -> Tensor; only the input varies
extern const c10::Symbol
    gated_convolution;               // (Tensor[] inputs, Tensor? weight, Tensor? bias, Tensor? mean, Tensor? variance,
                                     //  float epsilon, bool of_module, then as above from the weight) -> Tensor
extern const c10::Symbol to_layout;  // (Tensor, bool channels_last) -> Tensor
// What LibTorch's operators compute, keeping less for the gradient: see masked_relu and fixed_statistics_batch_norm.
extern const c10::Symbol masked_relu;          // (Tensor, bool of_module) -> Tensor
extern const c10::Symbol masked_relu_;         // the same, in place
extern const c10::Symbol constant_batch_norm;  // (Tensor, Tensor? weight, Tensor? bias, Tensor mean, Tensor variance,
                                               //  float epsilon) -> Tensor
}  // namespace ops

void register_operators();

// Of a node of gated_convolution; null where the processor cannot fuse it: see GatedConvolution.
c10::intrusive_ptr<GatedConvolution> gated_convolution_of(const torch::jit::Node* node);

// Has every loop of the graph check for cancellation before each turn.
void check_loops(torch::jit::Graph& graph);
// Removes the checks again: they stand in the way of optimisations.
void remove_checks(torch::jit::Graph& graph);

// While it lives, graphs that run on this thread add the autograd nodes of those ReLUs to `found` that are modules.
class ReluNotes {
 public:
  explicit ReluNotes(std::vector<NodePtr>& found);
  ~ReluNotes();

 private:
  std::vector<NodePtr>* outer_;
};

// While it lives, graphs that run on this thread check `cancel`, which may be null, where they check for cancellation.
class CancelScope {
 public:
  explicit CancelScope(const CancelFlag* cancel);
  ~CancelScope();

 private:
  const CancelFlag* outer_;
};

}  // namespace gradcam
