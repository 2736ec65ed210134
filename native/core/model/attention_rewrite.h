#pragma once
#include <torch/script.h>

namespace gradcam {

// Makes attention differentiable in all of a module's code, at whatever layer the graph of a pass begins:
// - torch.nn's own modules choose fused kernels, which have no derivatives and call no submodules, where no parameter
//   requires a gradient. They take the other branch, as in PyTorch where parameters require one.
// - A file that was traced where nothing required a gradient holds those kernels alone: they become operators that
//   compute the same and have derivatives.
// - Scaled dot-product attention becomes an operator that has second derivatives where a pass needs them.
void rewrite_attention(const torch::jit::Module& module);

}  // namespace gradcam
