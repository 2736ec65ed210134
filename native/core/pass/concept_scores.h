#pragma once
#include <string>

#include "core/maps/maps.h"
#include "core/targets/target.h"
#include "run.h"

namespace gradcam {

// What the model answers where its layer shows one concept alone, at every position: [K, classes] for concepts [K, C].
// The tail of a split runs on them. Throws ERR_NOT_SPLITTABLE where the answer also depends on something that goes
// around the layer, where the model did not run split, or where the tail does not take them. `why_hooked`: empty where
// it ran split.
Tensor score_concepts(const RunContext& context, const Captured& captured, const std::string& why_hooked,
                      const Tensor& concepts, const PartPath& path, const CancelFlag* cancel);

}  // namespace gradcam
