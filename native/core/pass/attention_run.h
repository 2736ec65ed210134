#pragma once
#include <functional>

#include "run.h"

namespace gradcam {

// Runs the model as it is, with attention by its formula, and finds the attention matrices in the graph.
class AttentionRun : public Run {
 public:
  explicit AttentionRun(const RunContext& context) : Run(context) {}

  // Throws ERR_NO_ATTENTION, ERR_NO_GRADIENT.
  Explained differentiate(const Tensor& score, bool keep_graph) const override;

  // For each block that the plan names, in the order in which they ran, its attention matrix, and the gradient there of
  // the score of what the model returns where its last block returns what this one does. `score_of`: of such an output,
  // the sum over images. Throws ERR_NO_ATTENTION, ERR_NO_GRADIENT, ERR_LAYER_NOT_REACHED.
  std::vector<AttentionResult> by_block(const std::function<Tensor(const IValue&)>& score_of,
                                        const CancelFlag* cancel) const;

 protected:
  void capture(const std::vector<IValue>& inputs, const CancelFlag* cancel) override;

 private:
  // What a block added to the matrices of those before it.
  struct Block {
    size_t layer;
    std::vector<Tensor> matrices;  // all that its output was computed from
  };
  std::vector<Block> blocks_in_order() const;
  IValue run_with(size_t last, const Tensor& output, const CancelFlag* cancel) const;

  std::vector<IValue> inputs_;  // copies, where blocks are named
};

}  // namespace gradcam
