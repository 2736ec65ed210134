#include "hooked_run.h"

#include "layer_observer.h"

namespace gradcam {

namespace {

// Finds the autograd nodes that modules of class ReLU recorded.
class ReluModuleObserver : public CallObserver {
 public:
  explicit ReluModuleObserver(std::vector<NodePtr>& found) : found_(found) {}

  bool observes(ModuleId, const c10::ClassType& type) const override {
    return type.name() && type.name()->name() == "ReLU";
  }
  void after(ModuleId, const c10::ClassType&, const Inputs&, IValue& output) override {
    if (output.isTensor() && is_relu_output(output.toTensor())) found_.push_back(output.toTensor().grad_fn());
  }

 private:
  std::vector<NodePtr>& found_;
};

}  // namespace

void HookedRun::capture(const std::vector<IValue>& inputs, const CancelFlag* cancel) {
  LayerObserver layers(context_, captured_);
  ReluModuleObserver relu_modules(captured_.relu_modules);
  const auto* guided = context_.plan.explains<GuidedGradient>();
  const bool sees_modules = guided && guided->scope == ReluScope::modules;
  CallObserver* observer = sees_modules ? static_cast<CallObserver*>(&relu_modules) : &layers;
  captured_.output = context_.model.run_and_restore(copy_inputs(inputs), observer, cancel);
}

}  // namespace gradcam
