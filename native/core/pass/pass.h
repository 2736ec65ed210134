#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/model/model.h"
#include "core/targets/target.h"
#include "explained.h"
#include "pass_plan.h"
#include "rerunner.h"
#include "run.h"

namespace gradcam {

// One forward pass and the backward passes through it. What it captures is its own: any number of passes over one model
// can be alive at once.
class Pass {
 public:
  // Refuses layers that the model does not have.
  Pass(std::shared_ptr<Model> model, PassPlan plan);

  // Another pass of the same plan. Does not read what this one has captured: it may be running on another thread.
  std::shared_ptr<Pass> fork() const;

  // Replaces what an earlier forward captured. The autograd graph starts at the first captured layer, or at the input
  // where its gradient is computed.
  const IValue& forward(std::vector<IValue> inputs, const CancelFlag* cancel);

  // Backward from a target or from a scalar of the caller's own, down to the deepest captured layer and no further.
  // `keep_graph`: another backward may follow. `cancel` is checked by methods that run the model again; it may be null.
  Explained backward(const Target& target, bool keep_graph, const CancelFlag* cancel);
  Explained backward(const Tensor& score, bool keep_graph);

  // How many images of these inputs a pass from forward to backward should take at a time; none where it should take
  // all of them. Up to rounding the results are the same, but parts take less memory: see SplitModel::records_in_parts.
  std::optional<int64_t> images_at_once(const std::vector<IValue>& inputs, const Target& target) const;

  // How many ReLUs follow the rule of the plan, nonlinearities DeepLIFT's, or layers and sums LRP's.
  int intercepted() const { return run_ ? run_->intercepted() : 0; }
  // Whether this model takes the images of a batch one by one: see probe_rows.
  const RowsFound& probe(const std::vector<IValue>& inputs, const CancelFlag* cancel) const;
  // Why the last forward ran hooked; empty where it ran split.
  const std::string& why_hooked() const { return why_hooked_; }
  const Model& model() const { return *model_; }
  // What the score of the last forward is of: what it returned, or a layer of the model.
  const IValue& scored() const { return finished_run().output(); }
  void release();

 private:
  Pass(std::shared_ptr<Model> model, PassPlan plan, std::vector<ModuleId> layer_objects);

  RunContext context() const { return {*model_, plan_, layer_objects_}; }
  std::unique_ptr<Run> run_forward(const std::vector<IValue>& inputs, const CancelFlag* cancel);
  Run& finished_run() const;
  ResolvedTarget resolve(const Target& target) const;
  void require_image_dimension(const Target& target) const;
  std::vector<LayerReruns> run_again(const Target& target, const ResolvedTarget& resolved, const Explained& explained,
                                     const CancelFlag* cancel) const;
  void make_maps(Explained& explained, const std::vector<LayerReruns>& reruns) const;
  std::vector<AttentionResult> attention_by_block(const Target& target, const ResolvedTarget& resolved,
                                                  const CancelFlag* cancel) const;
  void factorize_layer(Explained& explained, const Target& target, const CancelFlag* cancel) const;
  void count_images(const std::vector<IValue>& inputs);
  void refuse_batch(const std::vector<IValue>& inputs, const std::exception& error, const CancelFlag* cancel);
  void probe_batch(const std::vector<IValue>& inputs, const CancelFlag* cancel);

  const std::shared_ptr<Model> model_;
  const PassPlan plan_;
  const std::vector<ModuleId> layer_objects_;
  std::unique_ptr<Run> run_;            // the last forward
  std::unique_ptr<Rerunner> rerunner_;  // for methods that run the model again
  std::vector<int64_t> input_size_;     // the spatial sizes of the input
  std::optional<int64_t> images_;       // how many it holds, where that is known
  std::string why_hooked_;
};

}  // namespace gradcam
