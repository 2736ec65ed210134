#pragma once
#include <torch/csrc/jit/ir/ir.h>
#include <torch/script.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace gradcam {

// A graph that a run of a model executes, and the call that leads there.
struct Frame {
  torch::jit::Graph* graph;
  std::string path;  // of the module whose method it is, e.g. "features.conv"; a function has that of its caller
  const Frame* caller = nullptr;
  torch::jit::Node* call = nullptr;           // in the caller's graph
  const c10::ivalue::Object* self = nullptr;  // that module; null where it is not known
  size_t skipped = 0;                         // inputs of the call before the first input of the graph
  bool numbers_stay = false;                  // no run changes attributes that are numbers: they are known, too
};

// Generated code may be nested deeply: what lies beyond is not looked at.
constexpr int kDeepest = 64;

// The module that a value is; null where that is not known.
const c10::ivalue::Object* module_of(const Frame& frame, const torch::jit::Value* value);

// The blocks of a node that may run, by what is known of its condition.
std::vector<torch::jit::Block*> blocks_of(const Frame& frame, torch::jit::Node* node);

// Calls `visit` for every node that may run, by what is known of conditions: a batch norm counts its batches in
// training alone. Calls are nodes like any other.
void for_each_that_may_run(const Frame& frame, torch::jit::Block* block,
                           const std::function<void(torch::jit::Node*)>& visit);

// Whether a flag of a node is known to have this value in evaluation mode, whatever the input is.
bool is_always(bool value, const Frame& frame, const torch::jit::Node* node, const std::string& argument);

}  // namespace gradcam
