#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/autograd/autograd_node.h"
#include "core/model/model.h"
#include "explained.h"
#include "pass_plan.h"

namespace gradcam {

// What a run is for. The pass that owns the run owns these, too.
struct RunContext {
  Model& model;
  const PassPlan& plan;
  const std::vector<ModuleId>& layer_objects;  // in the order of the plan's layers
};

// What the head of a split left, for running its tail again.
struct KeptCut {
  std::shared_ptr<SplitModel> split;
  Cut cut;
  bool channels_last = false;  // the layout of the run that left it
};

// What a run keeps for its backward passes.
struct Captured {
  IValue output;                      // what the score is of: what the model returned, or a layer of it
  std::optional<IValue> returned;     // what the model returned, where that is something else
  std::vector<Tensor> activations;    // by layer: of its last call; undefined where the run did not reach it
  std::vector<int64_t> calls;         // by layer: how often a hooked run called it
  std::optional<KeptCut> cut;         // of a split run whose tail is to run again
  std::vector<Tensor> baselines;      // by layer: likewise at the baseline, in a run that compares both
  Tensor input;                       // the leaf whose gradient is computed
  std::vector<NodePtr> relu_modules;  // that a hooked run called, where they alone follow the rule
  std::string unruled_activation;     // an activation that has no rule, where every activation follows one
  int intercepted =
      0;  // ReLUs that follow the rule, nonlinearities that follow DeepLIFT's, layers and sums that follow LRP's
};

// One run of the model, forward, and the backward passes through what it captured.
class Run {
 public:
  virtual ~Run() = default;
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  // Called once.
  void forward(const std::vector<IValue>& inputs, const CancelFlag* cancel);

  // The gradients of a score at what was captured. Throws ERR_LAYER_NOT_REACHED, ERR_NO_GRADIENT, ERR_NO_RELU,
  // ERR_ACTIVATION.
  virtual Explained differentiate(const Tensor& score, bool keep_graph) const;

  // What the score is of.
  const IValue& output() const { return captured_.output; }
  // What the model returned.
  const IValue& returned() const { return captured_.returned ? *captured_.returned : captured_.output; }
  Captured& captured() { return captured_; }
  int intercepted() const { return captured_.intercepted; }
  // How often a layer was called.
  int64_t calls(size_t layer) const { return captured_.calls.at(layer); }

 protected:
  explicit Run(const RunContext& context);

  virtual void capture(const std::vector<IValue>& inputs, const CancelFlag* cancel) = 0;
  // Copies outside the caller's graph, since the model may change its inputs in place. Where the gradient at the
  // input is computed, that is a copy of the leaf that is captured.
  std::vector<IValue> copy_inputs(const std::vector<IValue>& inputs);

  const RunContext context_;
  Captured captured_;
};

}  // namespace gradcam
