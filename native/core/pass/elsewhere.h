#pragma once
#include <memory>
#include <vector>

#include "core/model/model.h"
#include "core/targets/target.h"
#include "explained.h"
#include "pass_plan.h"
#include "rerunner.h"

namespace gradcam {

// The plan of a pass whose methods all compare the images with a baseline: the pass itself then does so, since its run
// at the images is theirs as well. Any other plan as it is.
PassPlan with_own_baseline(PassPlan plan);

// By layer, what such a pass found.
std::vector<LayerReruns> take_comparison(Explained& explained);

// What methods ask for that differentiate the model elsewhere than at the caller's inputs: at noisy copies, on the
// straight line from a baseline, where a layer returns something else, or with DeepLIFT's rule. Each is found once,
// however many methods ask for it. Fills in the evidence of each layer, which `layers` has of the images as they are.
// `target`: with the classes of those, which the changed ones are explained for.
void differentiate_elsewhere(const std::shared_ptr<Model>& model, const PassPlan& plan,
                             const std::vector<IValue>& inputs, const Target& target,
                             const std::vector<LayerResult>& layers, const CancelFlag* cancel,
                             std::vector<LayerReruns>& reruns);

}  // namespace gradcam
