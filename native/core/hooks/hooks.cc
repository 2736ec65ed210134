#include "hooks.h"

#include <ATen/core/builtin_function.h>

#include <unordered_set>
#include <utility>

#include "backward_hooks.h"

namespace gradcam {

namespace jit = torch::jit;

HookId CallTable::change(ObjectKey object, const std::function<void(InstanceHooks&, HookId)>& edit) {
  std::lock_guard lock(mutex_);
  const HookId id = next_id_++;
  auto& slot = by_object_[object];
  auto edited = slot ? std::make_shared<InstanceHooks>(*slot) : std::make_shared<InstanceHooks>();
  edit(*edited, id);
  slot = std::move(edited);
  hook_count_.fetch_add(1, std::memory_order_release);
  return id;
}

HookId CallTable::add(ObjectKey object, ForwardPreHook hook) {
  return change(object, [&](InstanceHooks& hooks, HookId id) { hooks.pre.emplace(id, std::move(hook)); });
}

HookId CallTable::add(ObjectKey object, ForwardHook hook) {
  return change(object, [&](InstanceHooks& hooks, HookId id) { hooks.forward.emplace(id, std::move(hook)); });
}

HookId CallTable::add(ObjectKey object, FullBackwardHook hook) {
  return change(object, [&](InstanceHooks& hooks, HookId id) { hooks.backward.emplace(id, std::move(hook)); });
}

void CallTable::remove(HookId id) {
  std::lock_guard lock(mutex_);
  for (auto it = by_object_.begin(); it != by_object_.end(); ++it) {
    auto edited = std::make_shared<InstanceHooks>(*it->second);
    if (edited->pre.erase(id) + edited->forward.erase(id) + edited->backward.erase(id) == 0) continue;
    hook_count_.fetch_sub(1, std::memory_order_release);
    if (edited->empty()) {
      by_object_.erase(it);
    } else {
      it->second = std::move(edited);
    }
    return;
  }
}

void CallTable::clear() {
  std::lock_guard lock(mutex_);
  by_object_.clear();
  hook_count_.store(0, std::memory_order_release);
}

std::shared_ptr<const InstanceHooks> CallTable::hooks_of(ObjectKey object) const {
  if (!has_hooks()) return nullptr;
  std::lock_guard lock(mutex_);
  const auto it = by_object_.find(object);
  return it == by_object_.end() ? nullptr : it->second;
}

namespace {

// One call of one module: pre-hooks, the original, the run's observer, forward hooks. The observer stands before the
// forward hooks because it wants the value that the layer returned, and its replacement is equal to that value.
void call_with_hooks(jit::Function& original, size_t arity, CallTable& table, jit::Stack& stack) {
  if (table.cancel) table.cancel->check();
  const auto self = stack[stack.size() - arity].toObject();
  const ObjectKey key = self.get();
  if (table.innermost == key) return original.run(stack);  // a method's call of another of its own module
  struct Enter {
    ObjectKey& innermost;
    ObjectKey outer;
    ~Enter() { innermost = outer; }
  } enter{table.innermost, std::exchange(table.innermost, key)};
  const auto& type = *self->type();
  const auto hooks = table.hooks_of(key);
  const bool observed = table.observer && table.observer->observes(key, type);
  if (!hooks && !observed) return original.run(stack);

  Inputs inputs(stack.end() - static_cast<long>(arity) + 1, stack.end());
  std::shared_ptr<BackwardHookCall> backward;
  if (hooks) {
    for (const auto& [id, hook] : hooks->pre) {
      auto replaced = hook(inputs);
      if (replaced) inputs = std::move(*replaced);
    }
    if (!hooks->backward.empty() && at::GradMode::is_enabled()) {
      backward = BackwardHookCall::start(hooks);
      inputs = backward->watch_inputs(inputs);
    }
    stack.erase(stack.end() - static_cast<long>(arity) + 1, stack.end());
    stack.insert(stack.end(), inputs.begin(), inputs.end());
  }
  original.run(stack);
  if (observed) table.observer->after(key, type, inputs, stack.back());
  if (hooks) {
    // Looked up again, as PyTorch does: a hook that ran in the meantime may have added or removed some.
    if (const auto now = table.hooks_of(key)) {
      for (const auto& [id, hook] : now->forward) {
        auto replaced = hook(inputs, stack.back());
        if (replaced) stack.back() = std::move(*replaced);
      }
    }
    if (backward) stack.back() = backward->watch_output(stack.back());
  }
}

// A type without `forward` is a container.
std::vector<jit::Function*> forwards_of(const c10::ClassType& type) {
  if (!type.findMethod("forward")) return {};
  std::vector<jit::Function*> forwards;
  for (auto* method : type.methods())
    if (is_forward(method->name())) forwards.push_back(method);
  return forwards;
}

void exchange(c10::ClassType& type, jit::Function* old_method, jit::Function* new_method) {
  type.unsafeRemoveMethod(old_method->name());
  type.addMethod(new_method);
}

}  // namespace

bool is_forward(const std::string& method) {
  return method.starts_with("forward") && method.find_first_not_of("0123456789", 7) == std::string::npos;
}

Trampolines::Trampolines(const jit::Module& root, CallTable& table) {
  std::unordered_set<const c10::ClassType*> done;
  for (const auto& module : root.modules()) {
    const auto type = module.type();
    if (!done.insert(type.get()).second) continue;
    for (auto* original : forwards_of(*type)) {
      auto schema = original->getSchema();
      const size_t arity = schema.arguments().size();  // counts self
      auto trampoline = std::make_unique<jit::BuiltinOpFunction>(original->qualname(), std::move(schema),
                                                                 [original, arity, &table](jit::Stack& stack) {
                                                                   try {
                                                                     call_with_hooks(*original, arity, table, stack);
                                                                   } catch (...) {
                                                                     // The innermost failure is the cause; what passes
                                                                     // by afterwards is the interpreter's text of it.
                                                                     if (!table.failure)
                                                                       table.failure = std::current_exception();
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
