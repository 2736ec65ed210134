#include "replace_output.h"

#include <utility>

#include "layer_part.h"

namespace gradcam {

ReplaceOutput::ReplaceOutput(ModuleId object, std::string path, Tensor value, std::optional<PartPath> part,
                             std::optional<int64_t> call)
    : object_(object), path_(std::move(path)), value_(std::move(value)), part_(std::move(part)), call_(call) {}

bool ReplaceOutput::observes(ModuleId object, const c10::ClassType&) const { return object == object_; }

bool ReplaceOutput::before(ModuleId, Inputs& inputs) {
  running_.begin(inputs);
  return false;
}

void ReplaceOutput::after(ModuleId, const c10::ClassType&, const Inputs&, IValue& output) {
  if (const auto call = calls_++; !call_ || *call_ == call) {
    if (value_.requires_grad()) at::GradMode::set_enabled(true);
    const auto part = explained_part(output, part_, path_);
    const auto returned = part_at(output, part)->toTensor();
    if (returns_changed_input(running_, returned))
      replace_under_all_names(returned, value_);
    else
      output = with_part_at(output, part, value_.clone());  // the model may change it in place
  }
  running_.end();
}

}  // namespace gradcam
