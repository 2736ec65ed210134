#pragma once
#include <torch/csrc/jit/ir/ir.h>
#include <torch/script.h>

#include <cstddef>
#include <unordered_set>

namespace gradcam {

// Blocks of memory that tensors hold. Several tensors may share one.
using Storages = std::unordered_set<const c10::StorageImpl*>;

// What a copy of a model shares with the model: parameters, buffers, and constants of the graphs.
Storages shared_storages(const torch::jit::Module& copy);

// The bytes of a graph's constants that are not in `counted`, to which they are added. `packings`: how many copies of
// its weight, in oneDNN's memory order, each fixed convolution keeps besides.
size_t count_own_bytes(torch::jit::Graph& graph, size_t packings, Storages& counted);

}  // namespace gradcam
