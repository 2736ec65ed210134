#pragma once
#include <torch/script.h>

namespace gradcam {

// Replaces aten::max_pool2d in all functions of the module's compilation unit by an operator of ours, which is faster
// and gives the same bits: see core/autograd/max_pool.h. The unit must belong to the module alone, and nothing in it
// may have run yet. LibTorch's own operator stays as it is, for everybody else in the process.
void rewrite_max_pools(const torch::jit::Module& module);

}  // namespace gradcam
