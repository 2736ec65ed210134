#include "score_observer.h"

#include <optional>

#include "core/base/error.h"

namespace gradcam {

namespace {

// Keeps what a layer returned. All calls are passed on to another observer, where there is one.
class ScoreObserver : public CallObserver {
 public:
  ScoreObserver(ModuleId layer, CallObserver* other) : layer_(layer), other_(other) {}

  bool observes(ModuleId module, const c10::ClassType& type) const override {
    return module == layer_ || (other_ && other_->observes(module, type));
  }
  bool before(ModuleId module, Inputs& inputs) override { return other_ && other_->before(module, inputs); }
  void after(ModuleId module, const c10::ClassType& type, const Inputs& inputs, IValue& output) override {
    if (other_ && other_->observes(module, type)) other_->after(module, type, inputs, output);
    if (module != layer_) return;
    kept = output;
    // The model continues with copies: an operator after the layer may change them in place.
    output = map_tensors(output, [](const Tensor& t) { return t.defined() ? t.clone() : t; });
  }

  std::optional<IValue> kept;

 private:
  const ModuleId layer_;
  CallObserver* const other_;
};

}  // namespace

void run_for_score(const RunContext& context, std::vector<IValue> inputs, CallObserver* observer,
                   const CancelFlag* cancel, Captured& captured) {
  const auto& layer = context.plan.score_layer;
  if (!layer) {
    captured.output = context.model.run_and_restore(std::move(inputs), observer, cancel);
    return;
  }
  ScoreObserver scored(context.model.module_at(*layer), observer);
  captured.returned = context.model.run_and_restore(std::move(inputs), &scored, cancel);
  if (!scored.kept)
    throw Error("ERR_LAYER_NOT_REACHED",
                "The forward pass never called layer '" + *layer + "' with this input, so it has no score.",
                Remedy{"Take the score of a layer that the model calls."});
  captured.output = std::move(*scored.kept);
}

}  // namespace gradcam
