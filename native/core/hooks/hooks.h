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
#include "module_copy.h"

namespace gradcam {

// TorchScript gives all instances of a class one type, so what belongs to an instance is kept by its object.
using ObjectKey = const void*;

using Inputs = std::vector<IValue>;     // without self
using Gradients = std::vector<Tensor>;  // an undefined tensor where no gradient reached

// Hooks with the meaning of PyTorch's: an empty answer leaves the value alone, any other replaces it.
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

// What one run wants to see of the modules it calls. It lives as long as the run: see Model::run.
class CallObserver {
 public:
  virtual ~CallObserver() = default;
  // Sees the value that a module returned, and may replace it. `type` is the module's class.
  virtual void after(ObjectKey object, const c10::ClassType& type, const Inputs& inputs, IValue& output) = 0;
  virtual bool observes(ObjectKey object, const c10::ClassType& type) const = 0;
};

// All that the modules of one model look at when they are called.
class CallTable {
 public:
  // Registration may come from any thread, while the model runs on another.
  HookId add(ObjectKey object, ForwardPreHook hook);
  HookId add(ObjectKey object, ForwardHook hook);
  HookId add(ObjectKey object, FullBackwardHook hook);
  void remove(HookId id);
  void clear();

  std::shared_ptr<const InstanceHooks> hooks_of(ObjectKey object) const;
  bool has_hooks() const { return hook_count_.load(std::memory_order_acquire) > 0; }

  // Set for the duration of one run.
  CallObserver* observer = nullptr;
  const CancelFlag* cancel = nullptr;
  ObjectKey innermost = nullptr;  // the module whose call is under way

  // The interpreter turns what a hook throws into text. The exception itself is kept here and thrown again by the run.
  std::exception_ptr failure;

 private:
  HookId change(ObjectKey object, const std::function<void(InstanceHooks&, HookId)>& edit);

  mutable std::mutex mutex_;
  // Instances are replaced, never edited: a call that is under way keeps the hooks it started with.
  std::unordered_map<ObjectKey, std::shared_ptr<const InstanceHooks>> by_object_;
  std::atomic<size_t> hook_count_{0};
  HookId next_id_ = 1;
};

// `forward`, and in a traced file `forward1`, `forward2`, ...: tracing records each further call of one module in a
// method of its own.
bool is_forward(const std::string& method);

// C++ functions in the place of `forward` in every module class below a root, each of which runs the original and then
// what the table holds for the instance. They must be there before the first run, which inlines the graphs of the
// children into their parents, and must outlive the module.
class Trampolines {
 public:
  Trampolines(const torch::jit::Module& root, CallTable& table);

  // A copy of the module as it was loaded, without any of these: see copy_module.
  torch::jit::Module copy_original(const torch::jit::Module& root, CopiedState state) const;

 private:
  struct Replaced {
    std::shared_ptr<c10::ClassType> type;
    torch::jit::Function* original;
    std::unique_ptr<torch::jit::Function> trampoline;
  };
  std::vector<Replaced> replaced_;
};

}  // namespace gradcam
