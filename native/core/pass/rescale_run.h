#pragma once
#include "run.h"

namespace gradcam {

// Runs the model twice, at a baseline and at the input, for DeepLIFT.
class RescaleRun : public Run {
 public:
  explicit RescaleRun(const RunContext& context) : Run(context) {}

  Explained differentiate(const Tensor& score, bool keep_graph) const override;

 protected:
  void capture(const std::vector<IValue>& inputs, const CancelFlag* cancel) override;
};

}  // namespace gradcam
