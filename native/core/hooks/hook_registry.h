#pragma once
#include <torch/script.h>

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "core/base/cancel.h"
#include "core/base/ivalues.h"

namespace gradcam {

// A module instance of a model, by the address of its object: all instances of a class share one type.
using ModuleId = const void*;

using Inputs = std::vector<IValue>;     // without self
using Gradients = std::vector<Tensor>;  // an undefined tensor where no gradient reached

// Hooks as PyTorch defines them: an empty result keeps the value, any other replaces it.
using ForwardPreHook = std::function<std::optional<Inputs>(const Inputs&)>;
using ForwardHook = std::function<std::optional<IValue>(const Inputs&, const IValue& output)>;
using FullBackwardHook =
    std::function<std::optional<Gradients>(const Gradients& grad_inputs, const Gradients& grad_outputs)>;

using HookId = uint64_t;

// The hooks of one module instance, in the order of registration.
struct InstanceHooks {
  std::map<HookId, ForwardPreHook> pre;
  std::map<HookId, ForwardHook> forward;
  std::map<HookId, FullBackwardHook> backward;
  bool empty() const { return pre.empty() && forward.empty() && backward.empty(); }
};

// What one run observes of the modules that it calls. It lives as long as the run: see Model::run.
class CallObserver {
 public:
  virtual ~CallObserver() = default;
  // Called before a module runs, with its inputs, which it may replace: true where it did.
  virtual bool before(ModuleId, Inputs&) { return false; }
  // Called with the value that a module returned, which it may replace. `type` is the module's class.
  virtual void after(ModuleId module, const c10::ClassType& type, const Inputs& inputs, IValue& output) = 0;
  virtual bool observes(ModuleId module, const c10::ClassType& type) const = 0;
};

// The hooks of one model, and what its modules look up when they are called.
class HookRegistry {
 public:
  // Registration may come from any thread, while the model runs on another.
  HookId add(ModuleId module, ForwardPreHook hook);
  HookId add(ModuleId module, ForwardHook hook);
  HookId add(ModuleId module, FullBackwardHook hook);
  void remove(HookId id);
  void clear();

  std::shared_ptr<const InstanceHooks> hooks_of(ModuleId module) const;
  bool has_hooks() const { return hook_count_.load(std::memory_order_acquire) > 0; }

  // Set for the duration of one run.
  CallObserver* observer = nullptr;
  const CancelFlag* cancel = nullptr;
  ModuleId innermost = nullptr;  // the module that is being called
  bool forks = false;            // the model's code forks: all of it then runs on the thread of the run

  // The interpreter replaces an exception by its text. The first exception of a run is kept here, and the run rethrows
  // it.
  std::exception_ptr failure;

 private:
  HookId change(ModuleId module, const std::function<void(InstanceHooks&, HookId)>& edit);

  mutable std::mutex mutex_;
  // Replaced, never edited: a call in progress keeps the hooks that it started with.
  std::unordered_map<ModuleId, std::shared_ptr<const InstanceHooks>> by_module_;
  std::atomic<size_t> hook_count_{0};
  HookId next_id_ = 1;
};

}  // namespace gradcam
