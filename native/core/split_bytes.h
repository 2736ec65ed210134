#pragma once
#include <torch/csrc/jit/ir/ir.h>
#include <torch/script.h>

#include <cstddef>
#include <unordered_set>

namespace gradcam {

// Memory that tensors hold, each block once however many share it.
using Storages = std::unordered_set<const c10::StorageImpl*>;

// What a copy of a model shares with it: parameters, buffers, and constants of its graphs.
Storages shared_storages(const torch::jit::Module& copy);

// The bytes of a graph's constants that are in none of `counted`, to which they are added. `packings` is how often each
// fixed convolution keeps its weight in an order of oneDNN's besides.
size_t count_own_bytes(torch::jit::Graph& graph, size_t packings, Storages& counted);

}  // namespace gradcam
