#pragma once
#include <torch/script.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cancel.h"
#include "ivalues.h"

namespace gradcam {

// What a split has to offer. Without layers and not at the input, the head is all of the model and there is no tail.
struct SplitPlan {
  std::vector<std::string> layers;
  // Cut at the input instead of at the first layer: the input's gradient is wanted.
  bool at_input = false;
  // The type that the head computes in; the model's own by default. The tail always has the model's own.
  std::optional<at::ScalarType> head_dtype;

  std::string key() const;
};

// What the head leaves for the tail: the first layer's output, then what else lives across the cut. At the input: the
// inputs.
struct Cut {
  std::vector<IValue> values;
};

struct TailResult {
  IValue output;
  std::vector<Tensor> activations;  // of every layer, in the order of the plan
};

// A model cut in two where the first of its target layers returns. The head, all that comes before, is frozen, optimised
// and run without a graph; only the tail records one. Exact up to the rounding of folded batch norms. Values that live
// across the cut (skip connections) leave the head beside the activation and enter the tail as constants, which to the
// activation's gradient they are.
class SplitModel {
 public:
  // `module` is a copy of the model's own, which freezing takes apart; it shares the parameters and the state.
  // Throws CannotSplit.
  static std::shared_ptr<SplitModel> build(const torch::jit::Module& module, const SplitPlan& plan);

  // Without a graph. `cancel` may be null; it is looked at before every convolution and matrix product.
  Cut run_head(std::vector<IValue> inputs, const CancelFlag* cancel) const;

  // From what the cut holds to the output. The first of its values is what a gradient is wanted at, so the caller makes it
  // a leaf. May be called again, with another activation.
  TailResult run_tail(const Cut& cut, const CancelFlag* cancel) const;

  // The output alone, without a graph, for running again. It may change in place what the cut holds.
  IValue rerun_tail(Cut cut, const CancelFlag* cancel) const;

  // The layer that it is cut at.
  size_t first_layer() const { return tap_layers_.at(0); }

  // What it holds beside the model's own weights: those that batch norms were folded into, and convolutions' in the order that
  // oneDNN wants, which they make as they first run.
  size_t own_bytes() const { return own_bytes_; }

  // Convolutions are fastest so; a model that asks for views of contiguous memory does not run so. What was found is kept.
  bool channels_last = true;

 private:
  SplitModel() = default;

  SplitPlan plan_;
  IValue self_;  // of the frozen module, where its graph still asks for it: it alone keeps the copy's compilation unit
  bool takes_self_ = false;
  std::unique_ptr<torch::jit::Function> head_, tail_;
  std::vector<size_t> tap_layers_;  // the layer of each tap, in the order of execution
  size_t own_bytes_ = 0;
};

}  // namespace gradcam
