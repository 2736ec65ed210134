#pragma once
#include <torch/script.h>

namespace gradcam {

// Has every loop in the functions of the module's compilation unit check for cancellation before each turn: see
// CancelScope. The unit must belong to the module alone, and nothing in it may have run yet.
void insert_loop_checks(const torch::jit::Module& module);

}  // namespace gradcam
