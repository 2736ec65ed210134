#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "call_inputs.h"
#include "core/base/value_parts.h"

namespace gradcam {

// Replaces what a layer returns.
class ReplaceOutput : public CallObserver {
 public:
  // `call`: which one, from 0; by default every call. `part`: of what the layer returns, see explained_part.
  ReplaceOutput(ModuleId object, std::string path, Tensor value, std::optional<PartPath> part = {},
                std::optional<int64_t> call = {});

  bool observes(ModuleId object, const c10::ClassType& type) const override;
  bool before(ModuleId object, Inputs& inputs) override;
  void after(ModuleId object, const c10::ClassType& type, const Inputs& inputs, IValue& output) override;

 private:
  const ModuleId object_;
  const std::string path_;
  const Tensor value_;
  const std::optional<PartPath> part_;
  const std::optional<int64_t> call_;
  int64_t calls_ = 0;
  CallInputs running_;
};

}  // namespace gradcam
