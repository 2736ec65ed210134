#pragma once
#include <torch/script.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/cancel.h"
#include "core/base/ivalues.h"

namespace gradcam {

// Where a model is split. Without layers and not at the input, the head is the whole model and there is no tail.
struct SplitPlan {
  std::vector<std::string> layers;
  // Cut at the input instead of at the first layer, to compute the gradient at the input.
  bool at_input = false;
  // The type that the head computes in; the model's own by default. The tail always computes in the model's own.
  std::optional<at::ScalarType> head_dtype;
  // At the input: as the model itself computes it, to the last bit, so that the same ReLUs are open.
  bool equally = false;

  std::string key() const;
};

// What the head passes to the tail: the first layer's output, then the other values that are live across the cut. At
// the input: the inputs.
struct Cut {
  std::vector<IValue> values;
};

struct TailResult {
  IValue output;
  std::vector<Tensor> activations;  // of every layer, in the order of the plan
};

// A model cut in two where the first of its target layers returns. The head, everything before that, is frozen,
// optimised and run without an autograd graph; only the tail records one. Equal to the model up to the rounding of
// folded batch norms, unless the plan says otherwise. Other values that are live across the cut (skip connections) are
// passed from the head to the tail, too. There they are constants: the activation's gradient does not depend on how
// they were computed.
class SplitModel {
 public:
  // `module` is a copy of the model's own, which freezing takes apart. It shares the model's parameters and state.
  // Throws CannotSplit.
  static std::shared_ptr<SplitModel> build(const torch::jit::Module& module, const SplitPlan& plan);

  // Without a graph. `cancel` may be null; it is checked before every convolution and matrix product.
  Cut run_head(std::vector<IValue> inputs, const CancelFlag* cancel) const;

  // From the cut to the output. The gradient is computed at the first value of the cut, so the caller makes it a leaf.
  // May be called again, with another activation.
  TailResult run_tail(const Cut& cut, const CancelFlag* cancel) const;

  // The output alone, without a graph. May change the values of the cut in place.
  IValue rerun_tail(Cut cut, const CancelFlag* cancel) const;

  // Whether the graph of a large batch should be recorded in parts: it keeps the activations of all images, which take
  // many times the memory of a plain forward pass. Not where the tail is too small for that to matter, or where an
  // image's result might depend on the other images of the first input.
  bool records_in_parts() const { return records_in_parts_; }

  // The layer that it is cut at.
  size_t first_layer() const { return tap_layers_.at(0); }

  // Memory that it holds besides the model's own weights: the convolutions' weights in the order of their kernels,
  // which are made when they first run, and constants that were computed when it was made.
  size_t own_bytes() const { return own_bytes_; }

  // The memory layout that it runs in. Convolutions are fastest with channels last, but a model that takes views of
  // contiguous memory fails with it: whoever finds that out sets this to false.
  bool channels_last = true;

 private:
  SplitModel() = default;

  SplitPlan plan_;
  // The nodes of the graphs refer to the functions that they were inlined from, which LibTorch names in errors.
  std::shared_ptr<torch::jit::CompilationUnit> unit_;
  IValue self_;  // the frozen module, where its graph still takes it as input
  bool takes_self_ = false;
  std::unique_ptr<torch::jit::Function> head_, tail_;
  std::optional<size_t> images_;    // the head's input that holds the images, where a batch may run in parts
  bool records_in_parts_ = false;   // from head to tail
  std::vector<size_t> tap_layers_;  // the layer of each tap, in the order of execution
  size_t own_bytes_ = 0;
};

}  // namespace gradcam
