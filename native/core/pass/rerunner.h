#pragma once
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/rerun/copies.h"
#include "core/rerun/masks.h"
#include "run.h"

namespace gradcam {

// What methods that run the model again ask for, of one layer.
struct LayerReruns {
  LayerEvidence found;                          // what runs alone tell, but for the scores of masks
  std::map<Rerun, Tensor> masked;               // LayerEvidence::masked_scores, by how the input is masked
  std::map<Rerun, std::exception_ptr> missing;  // what kept something from being found, where it was asked for

  // What a method takes of it.
  LayerEvidence of(const LayerMethod& method) const;
};

// Runs the model of a pass again, on copies of its images that are changed by one channel of a layer each.
class Rerunner {
 public:
  // Keeps copies of the inputs, and of what `captured` holds for this. The plan explains layers.
  Rerunner(const RunContext& context, const std::vector<IValue>& inputs, Captured& captured);

  const std::vector<IValue>& inputs() const { return inputs_; }

  // By layer. `activations`: what the layers returned in the pass.
  std::vector<LayerReruns> score_channels(const CopyScorer& scorer, const std::vector<Tensor>& activations);

 private:
  void require_one_call(size_t layer) const;
  // The methods of the plan that change channels or masks, in its order.
  std::vector<const LayerMethod*> methods_of_channels() const;
  void ablate_channels(const CopyScorer& scorer, size_t layer, const Tensor& activation, LayerReruns& found);
  void mask_channels(const CopyScorer& scorer, size_t layer, const Tensor& activation, const LayerMethod& method,
                     LayerReruns& found);
  Tensor score_ablated(const CopyScorer& scorer, const Copies& copies, size_t layer, const Tensor& activation);
  Tensor score_ablated_tails(const CopyScorer& scorer, const Copies& copies, size_t layer);
  Tensor score_masked(const CopyScorer& scorer, const Copies& copies, const MaskPlan& plan);
  Tensor score_masked_split(const CopyScorer& scorer, const Copies& copies, const MaskPlan& plan);
  RunVersion each_version(const Copies& some, const MaskPlan& plan, bool channels_last,
                          const std::function<IValue(std::vector<IValue>)>& run) const;
  bool runs_split() const;

  const RunContext context_;
  const LayerMaps& goal_;
  std::vector<IValue> inputs_;
  std::vector<int64_t> input_size_;
  std::optional<KeptCut> cut_;
  std::vector<int64_t> calls_;  // by layer: how often a hooked run called it
};

}  // namespace gradcam
