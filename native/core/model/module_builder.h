#pragma once
#include <torch/script.h>

#include "model_plan.h"

namespace gradcam {

// Builds the nested module of a plan, in a compilation unit of its own. Throws an Error: ERR_MODEL_CORRUPT for a plan
// or weights that lie, ERR_MODEL_OPERATOR for an operator that is not registered, ERR_MODEL_UNSUPPORTED for a method
// that does not compile.
torch::jit::Module build_module(const ModelPlan& plan, at::Device device);

}  // namespace gradcam
