#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/autograd/autograd_node.h"
#include "core/autograd/relu_rule.h"
#include "core/maps/full_grad.h"
#include "core/maps/maps.h"
#include "core/model/model.h"
#include "core/rerun/copies.h"
#include "core/split/split.h"
#include "core/targets/target.h"

namespace gradcam {

enum class ReluScope { none, modules, all };

// How a pass runs: see SplitModel. `automatic` is split wherever that is possible.
enum class Execution { automatic, split, hooked };

// What a pass has to see.
struct PassPlan {
  std::vector<std::string> layers;     // captured: activation, and after backward its gradient
  MapPlan maps;                        // the maps to make of them, which may do without the gradient
  bool full_grad = false;              // FullGrad's map instead: the layers are those with a bias
  bool scores_only = false;            // no layers and no gradient: a backward only reads the scores off
  bool input_gradient = false;         // the gradient at the first input
  ReluScope guided = ReluScope::none;  // which ReLUs follow the rule
  ReluRule relu_rule = ReluRule::guided;
  Tensor baseline;  // DeepLIFT's, see RescaleRun; can be expanded to the first input
  Execution execution = Execution::automatic;
  std::optional<at::ScalarType> head_dtype;  // what comes before the first layer computes in it; needs a split
};

struct LayerResult {
  LayerResult(Tensor activation, Tensor gradient)
      : activation(std::move(activation)), gradient(std::move(gradient)), shape(this->activation.sizes().vec()) {}

  Tensor activation, gradient;  // no gradient where no method needs one
  Tensor curvature;             // see LayerEvidence
  std::vector<int64_t> shape;   // of what the layer returned
};

struct Explained {
  std::vector<int64_t> classes;              // per image; empty when the score came from the caller
  Tensor scores;                             // [N] float64 on the CPU, or the caller's scalar as [1]
  std::vector<LayerResult> layers;           // in the plan's order
  std::vector<std::vector<MethodMap>> maps;  // by method, then by layer, or one of all layers where they are aggregated
  Tensor input_gradient;                     // the shape of the input
  Tensor full_grad;                          // [N, 1, H, W]
};

// One forward pass and the backward passes through it. All that it captures is its own: any number of passes over one
// model can be alive at once.
class Pass {
 public:
  // Refuses layers that the model does not have.
  Pass(std::shared_ptr<Model> model, PassPlan plan);

  // Another pass of the same plan. What this one has captured is not looked at: it may be running on another thread.
  std::shared_ptr<Pass> fork() const;

  // Replaces what an earlier forward captured. The graph starts at the first captured layer, or at the input where its
  // gradient is wanted; nothing before that records one.
  const IValue& forward(std::vector<IValue> inputs, const CancelFlag* cancel);

  // Backward from a class or from a scalar of the caller's own, down to the deepest captured layer and no further.
  // `keep_graph`: another backward may follow. `cancel` is looked at by methods that run the model again; it may be
  // null.
  Explained backward(const Target& target, bool keep_graph, const CancelFlag* cancel);
  Explained backward(const Tensor& score, bool keep_graph);

  // ReLUs that follow the rule, or what DeepLIFT has rules on.
  int guided_relus() const { return guided_relus_; }
  // Why the last forward ran hooked; empty where it ran split.
  const std::string& why_hooked() const { return why_hooked_; }
  const Model& model() const { return *model_; }
  void release();

 private:
  class Observer;

  // What the head of a split left, for running its tail again.
  struct KeptCut {
    std::shared_ptr<SplitModel> split;
    Cut cut;
  };

  // What methods ask for that run the model again: see LayerEvidence.
  struct ChannelScores {
    Tensor score, ablated, masked;
  };

  Pass(std::shared_ptr<Model> model, PassPlan plan, std::vector<ModuleId> layer_objects);

  SplitPlan split_plan() const;
  bool hides_not_finite(const std::vector<IValue>& inputs) const;
  std::shared_ptr<SplitModel> find_split(const std::vector<IValue>& inputs);
  void refuse_hooked(const std::string& why) const;
  void forward_split(const std::shared_ptr<SplitModel>& split, const std::vector<IValue>& inputs, bool channels_last,
                     const CancelFlag* cancel);
  bool try_split(const std::shared_ptr<SplitModel>& split, const std::vector<IValue>& inputs, const CancelFlag* cancel);
  void give_up_split();
  void forward_hooked(std::vector<IValue> inputs, const CancelFlag* cancel);
  void forward_rescaled(const std::vector<IValue>& inputs, const CancelFlag* cancel);
  // A pass of methods that look at activations alone records no graph and has no backward.
  bool needs_gradient() const;
  void rewrite_graph_behind_output(bool others_hold_parts);
  Explained differentiate(const Tensor& score, bool keep_graph);
  Tensor curvature(const Tensor& gradient, const Tensor& activation) const;
  Explained differentiate_full(const Tensor& score, bool keep_graph);
  void make_maps(Explained& explained, const std::vector<ChannelScores>& scores) const;

  bool runs_again() const { return plan_.maps.reruns(Rerun::ablated) || plan_.maps.reruns(Rerun::masked); }
  void keep_for_rerun(const std::vector<IValue>& inputs);
  std::vector<ChannelScores> score_channels(const CopyScorer& scorer, const Explained& explained);
  Tensor score_ablated(const CopyScorer& scorer, const Copies& copies, size_t layer, const Tensor& activation);
  Tensor score_ablated_tails(const CopyScorer& scorer, const Copies& copies, size_t layer);
  Tensor score_masked(const CopyScorer& scorer, const Copies& copies, const Tensor& activation);
  Tensor score_split(const std::shared_ptr<SplitModel>& split,
                     const std::function<Tensor(bool channels_last)>& run) const;
  bool reruns_split() const;

  std::shared_ptr<Model> model_;
  PassPlan plan_;
  std::vector<ModuleId> layer_objects_;
  std::optional<IValue> output_;
  std::vector<Tensor> activations_;  // by layer: of its last call; undefined where the pass did not reach it
  Tensor input_;                     // the leaf whose gradient is wanted
  std::vector<Tensor> biases_;       // by layer, for FullGrad
  std::vector<int64_t> input_size_;  // the spatial sizes of the first input
  int guided_relus_ = 0;
  std::vector<NodePtr> relu_modules_;  // that a hooked pass called, where they alone are to follow the rule
  std::string other_activation_;       // one that has no rule, where every activation is to follow one
  std::string why_hooked_;
  std::vector<IValue> kept_inputs_;  // copies, for methods that run the model again
  std::optional<KeptCut> kept_cut_;  // likewise
  std::vector<int64_t> calls_;       // by layer: how often a hooked pass called it
};

}  // namespace gradcam
