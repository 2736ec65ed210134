#pragma once
#include <torch/script.h>

#include <memory>
#include <string>
#include <vector>

#include "hook_registry.h"
#include "module_copy.h"

namespace gradcam {

// `forward`; in a traced file also `forward1`, `forward2`, ...: tracing records each further call of one module in a
// method of its own; and `forward__0`, `forward__1`, ... of a scripted module whose forward is overloaded, as that of
// nn.LSTM.
bool is_forward(const std::string& method);

// Whether a model can call a module of that type. One that has no such method is a container.
bool has_forward(const c10::ClassType& type);

// C++ functions that replace `forward` in every module class below a root. Each runs the original and the hooks that
// the registry has for the instance. They must be installed before the first run, which inlines the graphs of
// submodules into their parents, and must outlive the module.
class Trampolines {
 public:
  Trampolines(const torch::jit::Module& root, HookRegistry& registry);

  // A copy of the module with the original functions: see copy_module.
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
