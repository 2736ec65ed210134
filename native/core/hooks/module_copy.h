#pragma once
#include <torch/script.h>

#include <functional>

namespace gradcam {

// The function to copy instead of one that a type has.
using FunctionToCopy = std::function<torch::jit::Function*(torch::jit::Function*)>;

// A copy of a module in a compilation unit of its own, which goes when the copy does. Module::clone() puts the copy's
// types, functions and constants in the unit of the original, where they stay as long as that lives, and a module that
// is frozen puts its constants there too. The copy shares the parameters, and has the other attributes as its own: a
// model may change those as it runs. The original must outlive it, for free functions and for classes that are not
// modules stay there. Tied parameters and modules under several names stay so.
torch::jit::Module copy_module(const torch::jit::Module& root, const FunctionToCopy& to_copy);

}  // namespace gradcam
