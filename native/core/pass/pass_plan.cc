#include "pass_plan.h"

namespace gradcam {

const std::vector<std::string>& PassPlan::layers() const {
  static const std::vector<std::string> kNone;
  if (const auto* maps = explains<LayerMaps>()) return maps->layers;
  if (const auto* full_grad = explains<FullGradient>()) return full_grad->layers;
  return kNone;
}

bool PassPlan::at_input() const { return !explains<LayerMaps>() && !explains<ScoresOnly>(); }

bool PassPlan::needs_gradient() const {
  if (const auto* layers = explains<LayerMaps>())
    return layers->maps.methods.empty() || layers->maps.needs() != Needs::activation;
  return !explains<ScoresOnly>();
}

bool PassPlan::reruns() const {
  const auto* layers = explains<LayerMaps>();
  return layers && !layers->maps.reruns_nothing();
}

}  // namespace gradcam
