#pragma once
#include <torch/script.h>

#include <memory>
#include <vector>

#include "core/graphs/state_writes.h"

namespace gradcam {

// The state of a model that its runs change: attributes, and constants of its code.
class ModuleState {
 public:
  ModuleState(const torch::jit::Module& root, const StateWrites& writes);

  bool empty() const { return slots_.empty() && constants_.empty(); }

  // Replaces what runs change by copies; when the result goes, what was there before comes back. A graph that
  // was recorded meanwhile keeps the copies.
  std::shared_ptr<void> keep() const;

 private:
  struct Slot {
    c10::intrusive_ptr<c10::ivalue::Object> object;
    size_t index;
  };
  class Kept;

  std::vector<Slot> slots_;
  std::vector<at::Tensor> constants_;
};

}  // namespace gradcam
