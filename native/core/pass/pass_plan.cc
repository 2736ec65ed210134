#include "pass_plan.h"

namespace gradcam {

const std::vector<std::string>& PassPlan::layers() const {
  static const std::vector<std::string> kNone;
  if (const auto* maps = explains<LayerMaps>()) return maps->layers;
  if (const auto* full_grad = explains<FullGradient>()) return full_grad->layers;
  if (const auto* attention = explains<AttentionGradients>()) return attention->blocks;
  return kNone;
}

bool PassPlan::at_input() const { return !explains<LayerMaps>() && !explains<ScoresOnly>(); }

bool PassPlan::equally() const {
  const auto* guided = explains<GuidedGradient>();
  return at_input() && (execution == Execution::automatic || (guided && guided->scope == ReluScope::modules));
}

bool PassPlan::needs_gradient() const {
  if (const auto* layers = explains<LayerMaps>())
    return !layers->concepts && (layers->maps.methods.empty() || layers->maps.needs() != Needs::activation ||
                                 layers->rescaled_from.defined());
  return !explains<ScoresOnly>();
}

Tensor PassPlan::rescaled_from() const {
  if (const auto* layers = explains<LayerMaps>()) return layers->rescaled_from;
  const auto* input = explains<RescaledGradient>();
  return input ? input->baseline : Tensor();
}

bool PassPlan::reruns() const {
  const auto* layers = explains<LayerMaps>();
  return layers && !layers->maps.reruns_nothing() && !layers->rescaled_from.defined();
}

}  // namespace gradcam
