#pragma once
#include <memory>

#include "core/hooks/hook_registry.h"
#include "environment.h"

namespace gradcam::node {

// A function of JavaScript, which is called on its own thread.
using Hook = std::shared_ptr<const Environment::Kept>;

// Hooks of a model that call it. Throw ERR_HOOK_RESULT for what it returned.
ForwardPreHook forward_pre_hook(Hook function);
ForwardHook forward_hook(Hook function);
FullBackwardHook full_backward_hook(Hook function);

}  // namespace gradcam::node
