#pragma once
#include <memory>

#include "hook_registry.h"

namespace gradcam {

// The full backward hooks of one call of one module. The call is recorded between two identity nodes: the one after the
// outputs receives the gradients of the outputs; the one before the inputs then has both and calls the hooks, whose
// result replaces the gradients of the inputs. PyTorch's Module.register_full_backward_hook does the same. Unlike
// there, an in-place operator on the module's output is allowed: for autograd, the identity's result is not a view.
class BackwardHookCall : public std::enable_shared_from_this<BackwardHookCall> {
 public:
  static std::shared_ptr<BackwardHookCall> start(std::shared_ptr<const InstanceHooks> hooks);

  Inputs watch_inputs(const Inputs& inputs);

  // Parameters never require a gradient here, so the outputs may not require one either: then the graph starts at the
  // outputs, and the hooks are called with undefined input gradients, as PyTorch does when only parameters require one.
  IValue watch_output(const IValue& output);

 private:
  // Which of all tensors of a call are watched. Hooks see one gradient per tensor, undefined where it is not watched.
  struct Watched {
    size_t tensors = 0;
    std::vector<size_t> positions;
    Gradients spread(const Gradients& watched) const;
    Gradients gather(const Gradients& all) const;
  };

  Gradients call(const Gradients& grad_inputs, const Gradients& grad_outputs) const;

  std::shared_ptr<const InstanceHooks> hooks_;
  Watched inputs_, outputs_;
  Gradients grad_outputs_;
};

}  // namespace gradcam
