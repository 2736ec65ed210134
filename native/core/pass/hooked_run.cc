#include "hooked_run.h"

#include "layer_observer.h"
#include "score_observer.h"

namespace gradcam {

namespace {

// Finds the autograd nodes that modules of class ReLU recorded.
class ReluModuleObserver : public CallObserver {
 public:
  explicit ReluModuleObserver(std::vector<NodePtr>& found) : found_(found) {}

  bool observes(ModuleId, const c10::ClassType& type) const override {
    return type.name() && type.name()->name() == "ReLU";
  }
  bool before(ModuleId, Inputs& inputs) override {
    running_.begin(inputs);
    return false;
  }
  void after(ModuleId, const c10::ClassType&, const Inputs& inputs, IValue& output) override {
    // A traced module returns nothing where nobody used its result. It may have changed its input in place, or do
    // nothing at all.
    const bool has_input = !inputs.empty() && inputs.front().isTensor();
    const bool changed = output.isNone() && has_input && running_.changed(inputs.front().toTensor());
    running_.end();
    const auto& result = changed ? inputs.front() : output;
    if (!result.isTensor()) return;
    if (auto node = relu_that_made(result.toTensor())) found_.push_back(std::move(node));
  }

 private:
  std::vector<NodePtr>& found_;
  CallInputs running_;
};

}  // namespace

void HookedRun::capture(const std::vector<IValue>& inputs, const CancelFlag* cancel) {
  LayerObserver layers(context_, captured_);
  ReluModuleObserver relu_modules(captured_.relu_modules);
  const auto* guided = context_.plan.explains<GuidedGradient>();
  const bool sees_modules = guided && guided->scope == ReluScope::modules;
  CallObserver* observer = sees_modules ? static_cast<CallObserver*>(&relu_modules) : &layers;
  run_for_score(context_, copy_inputs(inputs), observer, cancel, captured_);
}

}  // namespace gradcam
