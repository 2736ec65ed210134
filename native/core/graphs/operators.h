#pragma once
#include <torch/csrc/jit/ir/ir.h>

#include <string>
#include <unordered_set>
#include <vector>

namespace gradcam {

// What is known of a node's operator by its name and its schema.

// Whether it is an operator of LibTorch with one of these names, which do not say "aten::".
bool is_one_of(const torch::jit::Node* node, const std::unordered_set<std::string>& names);

// The inputs that it changes in place, as its schema says: a batch norm in training changes more.
std::vector<torch::jit::Value*> written_inputs(const torch::jit::Node* node);

}  // namespace gradcam
