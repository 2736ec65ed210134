#pragma once
#include <vector>

#include "core/hooks/hook_registry.h"
#include "run.h"

namespace gradcam {

// Runs the model, and keeps in `captured` what it returned and what the score is of: that, or what the plan's layer
// returned at its last call. `observer` may be null. Throws ERR_LAYER_NOT_REACHED.
void run_for_score(const RunContext& context, std::vector<IValue> inputs, CallObserver* observer,
                   const CancelFlag* cancel, Captured& captured);

}  // namespace gradcam
