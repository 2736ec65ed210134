#include "hook_registry.h"

#include <utility>

namespace gradcam {

HookId HookRegistry::change(ModuleId module, const std::function<void(InstanceHooks&, HookId)>& edit) {
  std::lock_guard lock(mutex_);
  const HookId id = next_id_++;
  auto& slot = by_module_[module];
  auto edited = slot ? std::make_shared<InstanceHooks>(*slot) : std::make_shared<InstanceHooks>();
  edit(*edited, id);
  slot = std::move(edited);
  hook_count_.fetch_add(1, std::memory_order_release);
  return id;
}

HookId HookRegistry::add(ModuleId module, ForwardPreHook hook) {
  return change(module, [&](InstanceHooks& hooks, HookId id) { hooks.pre.emplace(id, std::move(hook)); });
}

HookId HookRegistry::add(ModuleId module, ForwardHook hook) {
  return change(module, [&](InstanceHooks& hooks, HookId id) { hooks.forward.emplace(id, std::move(hook)); });
}

HookId HookRegistry::add(ModuleId module, FullBackwardHook hook) {
  return change(module, [&](InstanceHooks& hooks, HookId id) { hooks.backward.emplace(id, std::move(hook)); });
}

void HookRegistry::remove(HookId id) {
  std::lock_guard lock(mutex_);
  for (auto it = by_module_.begin(); it != by_module_.end(); ++it) {
    auto edited = std::make_shared<InstanceHooks>(*it->second);
    if (edited->pre.erase(id) + edited->forward.erase(id) + edited->backward.erase(id) == 0) continue;
    hook_count_.fetch_sub(1, std::memory_order_release);
    if (edited->empty()) {
      by_module_.erase(it);
    } else {
      it->second = std::move(edited);
    }
    return;
  }
}

void HookRegistry::clear() {
  std::lock_guard lock(mutex_);
  by_module_.clear();
  hook_count_.store(0, std::memory_order_release);
}

std::shared_ptr<const InstanceHooks> HookRegistry::hooks_of(ModuleId module) const {
  if (!has_hooks()) return nullptr;
  std::lock_guard lock(mutex_);
  const auto it = by_module_.find(module);
  return it == by_module_.end() ? nullptr : it->second;
}

}  // namespace gradcam
