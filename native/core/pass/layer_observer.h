#pragma once
#include <functional>
#include <string>
#include <vector>

#include "call_inputs.h"
#include "run.h"

namespace gradcam {

// Captures what the layers of a run return. The graph starts at the first of them, where a gradient is needed; or at
// its inputs where it returns several tensors, one of which may be computed from another.
class LayerObserver : public CallObserver {
 public:
  // Called before an output is captured, with the position of the layer. False: it is not captured.
  using Filter = std::function<bool(size_t layer, const Inputs& inputs, const Tensor& output)>;

  // Called with what was captured, at each call.
  using Kept = std::function<void(size_t layer, const Tensor& activation)>;

  LayerObserver(const RunContext& context, Captured& captured, Filter filter = nullptr, Kept kept = nullptr);

  bool observes(ModuleId object, const c10::ClassType& type) const override;
  bool before(ModuleId object, Inputs& inputs) override;
  void after(ModuleId object, const c10::ClassType& type, const Inputs& inputs, IValue& output) override;

 private:
  void capture(size_t layer, const Inputs& inputs, IValue& output);
  Tensor replaced(size_t layer, const Tensor& value) const;

  const RunContext& context_;
  Captured& captured_;
  Filter filter_;
  Kept kept_;
  CallInputs running_;
};

}  // namespace gradcam
