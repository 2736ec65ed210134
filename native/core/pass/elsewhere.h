#pragma once
#include <memory>
#include <vector>

#include "core/model/model.h"
#include "core/targets/target.h"
#include "pass_plan.h"
#include "rerunner.h"

namespace gradcam {

// What methods ask for that differentiate the model at other inputs than the caller's: at noisy copies, or on the
// straight line from a baseline. Fills in the evidence of each layer. `target`: with the classes of the images as they
// are, which the changed ones are explained for.
void differentiate_elsewhere(const std::shared_ptr<Model>& model, const PassPlan& plan,
                             const std::vector<IValue>& inputs, const Target& target, const CancelFlag* cancel,
                             std::vector<LayerReruns>& reruns);

}  // namespace gradcam
