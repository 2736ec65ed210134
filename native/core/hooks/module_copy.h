#pragma once
#include <torch/script.h>

#include <functional>

namespace gradcam {

// The function to copy instead of one that a type has.
using FunctionToCopy = std::function<torch::jit::Function*(torch::jit::Function*)>;

// Whether a copy shares its original's buffers and other attributes, too, which a model may change in place as it runs.
// It shares the parameters in any case.
enum class CopiedState { shared, own };

// A copy of a module in a compilation unit of its own, which goes when the copy does. Module::clone() puts the copy's
// types and functions in the unit of the original, where they stay as long as that lives, with all constants that
// freezing the copy adds. The original must outlive the copy: free functions and classes that are not modules stay
// there. Tied parameters and modules under several names stay so.
torch::jit::Module copy_module(const torch::jit::Module& root, const FunctionToCopy& to_copy, CopiedState state);

}  // namespace gradcam
