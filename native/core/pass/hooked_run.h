#pragma once
#include "run.h"

namespace gradcam {

// Runs the model as it is and sees layers through hooks.
class HookedRun : public Run {
 public:
  explicit HookedRun(const RunContext& context) : Run(context) {}

 protected:
  void capture(const std::vector<IValue>& inputs, const CancelFlag* cancel) override;
};

}  // namespace gradcam
