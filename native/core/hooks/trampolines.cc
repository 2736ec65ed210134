#include "trampolines.h"

#include <ATen/core/builtin_function.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <unordered_set>
#include <utility>

#include "backward_hooks.h"

namespace gradcam {

namespace jit = torch::jit;

namespace {

// Runs a function on top of the stack. What it forks runs at once, on this thread: what a run observes belongs to one
// chain of calls.
void run_here(jit::Function& function, size_t arity, bool forks, jit::Stack& stack) {
  if (!forks) return function.run(stack);
  jit::Stack own(std::make_move_iterator(stack.end() - static_cast<long>(arity)), std::make_move_iterator(stack.end()));
  stack.resize(stack.size() - arity);
  const auto result = function.runAsync(own, [](const std::function<void()>& fork) { fork(); });
  result->waitAndThrow();
  stack.push_back(result->value());
}

// One call of one module: pre-hooks, the original, the run's observer, forward hooks. The observer comes before the
// forward hooks because it captures the value that the layer itself returned; its replacement has the same elements.
void call_with_hooks(jit::Function& original, size_t arity, HookRegistry& registry, jit::Stack& stack) {
  if (registry.cancel) registry.cancel->check();
  const auto self = stack[stack.size() - arity].toObject();
  const ModuleId id = self.get();
  if (registry.innermost == id)
    return run_here(original, arity, registry.forks, stack);  // a method that calls another of the same module
  struct Enter {
    ModuleId& innermost;
    ModuleId outer;
    ~Enter() { innermost = outer; }
  } enter{registry.innermost, std::exchange(registry.innermost, id)};
  const auto& type = *self->type();
  const auto hooks = registry.hooks_of(id);
  const bool observed = registry.observer && registry.observer->observes(id, type);
  if (!hooks && !observed) return run_here(original, arity, registry.forks, stack);

  Inputs inputs(stack.end() - static_cast<long>(arity) + 1, stack.end());
  std::shared_ptr<BackwardHookCall> backward;
  bool replaced_inputs = observed && registry.observer->before(id, inputs);
  if (hooks) {
    replaced_inputs = true;
    for (const auto& [hook_id, hook] : hooks->pre) {
      auto replaced = hook(inputs);
      if (replaced) inputs = std::move(*replaced);
    }
    if (!hooks->backward.empty() && at::GradMode::is_enabled()) {
      backward = BackwardHookCall::start(hooks);
      inputs = backward->watch_inputs(inputs);
    }
  }
  if (replaced_inputs) {
    stack.erase(stack.end() - static_cast<long>(arity) + 1, stack.end());
    stack.insert(stack.end(), inputs.begin(), inputs.end());
  }
  run_here(original, arity, registry.forks, stack);
  if (observed) registry.observer->after(id, type, inputs, stack.back());
  if (hooks) {
    // Looked up again, as PyTorch does: the module itself or a hook may have added or removed some.
    if (const auto now = registry.hooks_of(id)) {
      for (const auto& [hook_id, hook] : now->forward) {
        auto replaced = hook(inputs, stack.back());
        if (replaced) stack.back() = std::move(*replaced);
      }
    }
    if (backward) stack.back() = backward->watch_output(stack.back());
  }
}

std::vector<jit::Function*> forwards_of(const c10::ClassType& type) {
  if (!has_forward(type)) return {};
  std::vector<jit::Function*> forwards;
  for (auto* method : type.methods())
    if (is_forward(method->name())) forwards.push_back(method);
  return forwards;
}

bool is_overload(const std::string& method) {
  return method.size() > 9 && method.starts_with("forward__") &&
         method.find_first_not_of("0123456789", 9) == std::string::npos;
}

void exchange(c10::ClassType& type, jit::Function* old_method, jit::Function* new_method) {
  type.unsafeRemoveMethod(old_method->name());
  type.addMethod(new_method);
}

}  // namespace

bool is_forward(const std::string& method) {
  return is_overload(method) ||
         (method.starts_with("forward") && method.find_first_not_of("0123456789", 7) == std::string::npos);
}

bool has_forward(const c10::ClassType& type) {
  const auto& methods = type.methods();
  return std::any_of(methods.begin(), methods.end(),
                     [](const auto* method) { return method->name() == "forward" || is_overload(method->name()); });
}

Trampolines::Trampolines(const jit::Module& root, HookRegistry& registry) {
  std::unordered_set<const c10::ClassType*> done;
  for (const auto& module : root.modules()) {
    const auto type = module.type();
    if (!done.insert(type.get()).second) continue;
    for (auto* original : forwards_of(*type)) {
      auto schema = original->getSchema();
      const size_t arity = schema.arguments().size();  // counts self
      auto trampoline = std::make_unique<jit::BuiltinOpFunction>(original->qualname(), std::move(schema),
                                                                 [original, arity, &registry](jit::Stack& stack) {
                                                                   try {
                                                                     call_with_hooks(*original, arity, registry, stack);
                                                                   } catch (...) {
                                                                     // The innermost exception is the cause; outer ones
                                                                     // only hold the interpreter's text of it.
                                                                     if (!registry.failure)
                                                                       registry.failure = std::current_exception();
                                                                     throw;
                                                                   }
                                                                 });
      exchange(*type, original, trampoline.get());
      replaced_.push_back({type, original, std::move(trampoline)});
    }
  }
}

jit::Module Trampolines::copy_original(const jit::Module& root, CopiedState state) const {
  std::unordered_map<const jit::Function*, jit::Function*> originals;
  for (const auto& [type, original, trampoline] : replaced_) originals.emplace(trampoline.get(), original);
  const auto to_copy = [&](jit::Function* method) {
    const auto found = originals.find(method);
    return found == originals.end() ? method : found->second;
  };
  return copy_module(root, to_copy, state);
}

}  // namespace gradcam
