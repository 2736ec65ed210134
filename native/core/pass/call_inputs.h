#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include "core/hooks/hook_registry.h"

namespace gradcam {

// The inputs of calls that have not returned: which of them a module changes in place, as ReLU(inplace=True) does.
class CallInputs {
 public:
  void begin(const Inputs& inputs);
  void end() { calls_.pop_back(); }
  // Of the innermost call.
  bool changed(const Tensor& tensor) const;

 private:
  // The tensors, of which operators in place change the versions.
  using Versions = std::vector<std::pair<const c10::TensorImpl*, uint32_t>>;
  std::vector<Versions> calls_;  // the innermost last
};

// Whether what the innermost call returned is an input that it changed in place: what reads that input later reads what
// the module returned. Not of a view, whose history is that of the tensor that it is a view of.
bool returns_changed_input(const CallInputs& calls, const Tensor& returned);

// Has whoever reads `returned`, under any name, read `value`, which has its size.
void replace_under_all_names(const Tensor& returned, const Tensor& value);
// The same where it holds the same values already: the gradient goes on to `value`.
void continue_under_all_names(const Tensor& returned, const Tensor& value);

}  // namespace gradcam
