#pragma once
#include "run.h"

namespace gradcam {

// Runs the model as it is and sees every layer that has a bias, for FullGrad.
class FullGradRun : public Run {
 public:
  explicit FullGradRun(const RunContext& context) : Run(context) {}

  Explained differentiate(const Tensor& score, bool keep_graph) const override;

 protected:
  void capture(const std::vector<IValue>& inputs, const CancelFlag* cancel) override;

 private:
  // One call of a layer that has a bias: what it returned, and the bias, see implicit_bias.
  struct Call {
    Tensor activation, bias;
  };
  std::vector<Call> calls_;
};

}  // namespace gradcam
