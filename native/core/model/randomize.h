#pragma once
#include <torch/script.h>

#include <cstdint>
#include <string>
#include <vector>

namespace gradcam {

// Replaces the floating-point parameters of the modules at these paths, and of all below them, by random ones. A
// parameter's values depend on the seed and its position in the model alone: it gets the same ones whichever others are
// chosen, so that copies which randomise more and more modules form a cascade. False where no parameter was chosen.
bool randomize_parameters(torch::jit::Module& module, const std::vector<std::string>& paths, uint64_t seed);

}  // namespace gradcam
