#pragma once
#include <torch/script.h>

#include <string>

namespace gradcam {

// 32 hexadecimal digits that tell models apart by their parameters and buffers (names, types, shapes, bytes) and by the
// operators of their code. It is not cryptographic: it finds again what was measured for a model, and protects nothing.
// Empty for a module without parameters and buffers, such as a frozen one, whose weights are constants of its code.
std::string fingerprint_of(const torch::jit::Module& module, const std::vector<std::string>& operators);

}  // namespace gradcam
