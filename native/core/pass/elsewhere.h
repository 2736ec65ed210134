#pragma once
#include <memory>
#include <vector>

#include "core/model/model.h"
#include "core/targets/target.h"
#include "explained.h"
#include "pass_plan.h"
#include "rerunner.h"

namespace gradcam {

// What methods ask for that differentiate the model elsewhere than at the caller's inputs: at noisy copies, on the
// straight line from a baseline, where a layer returns something else, or with DeepLIFT's rule. Each is found once,
// however many methods ask for it. Fills in the evidence of each layer, which `layers` has of the images as they are.
// `target`: with the classes of those, which the changed ones are explained for.
void differentiate_elsewhere(const std::shared_ptr<Model>& model, const PassPlan& plan,
                             const std::vector<IValue>& inputs, const Target& target,
                             const std::vector<LayerResult>& layers, const CancelFlag* cancel,
                             std::vector<LayerReruns>& reruns);

}  // namespace gradcam
