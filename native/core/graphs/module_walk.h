#pragma once
#include <torch/csrc/jit/ir/ir.h>
#include <torch/script.h>

#include <functional>
#include <optional>
#include <string>

#include "known_values.h"

namespace gradcam {

// Calls `visit` for every node that `graph` can reach, through calls of methods, of functions and of forked code, too.
// A call that cannot be followed (through an interface, or of C++ code) is a node like any other.
void walk_calls(torch::jit::Graph& graph, const c10::ivalue::Object* self,
                const std::function<void(const Frame&, torch::jit::Node*)>& visit);

// How a value is followed backward.
struct Tracing {
  bool past_writes = false;  // through operators that change their input in place; otherwise they make a new value
  bool past_views = true;    // through operators whose output may share memory with an input; likewise
  std::function<void(size_t)> reached = nullptr;  // called for each input of the outermost graph that it comes from
};

// Where a value comes from: follows it backward through views, containers, branches, loops and calls. `found` is called
// for each node that makes it: one that computes a new value, a constant, or a GetAttr. A value that is an input of the
// outermost graph comes from none.
void for_each_origin(const Frame& frame, torch::jit::Value* value, const Tracing& tracing,
                     const std::function<void(const Frame&, torch::jit::Node*)>& found);

// The path of a module or another attribute below `self`: "features.denseblock4", "" for `self` itself; nothing where
// the value is not read from it.
std::optional<std::string> path_below(const torch::jit::Value* self, const torch::jit::Value* value);

// The value of the attribute that a GetAttr reads; nothing where its module is not known.
std::optional<c10::IValue> attribute_value(const Frame& frame, const torch::jit::Node* get_attr);

// The path of the attribute that a GetAttr reads, below the outermost module: "features.norm.running_mean".
std::string attribute_path(const Frame& frame, const torch::jit::Node* get_attr);

}  // namespace gradcam
