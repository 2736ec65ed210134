#pragma once
#include "run.h"

namespace gradcam {

// Runs the model as it is, with attention by its formula, and finds the attention matrices in the graph.
class AttentionRun : public Run {
 public:
  explicit AttentionRun(const RunContext& context) : Run(context) {}

  // Throws ERR_NO_ATTENTION, ERR_NO_GRADIENT.
  Explained differentiate(const Tensor& score, bool keep_graph) const override;

 protected:
  void capture(const std::vector<IValue>& inputs, const CancelFlag* cancel) override;
};

}  // namespace gradcam
