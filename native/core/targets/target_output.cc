#include "target_output.h"

#include "core/base/error.h"

namespace gradcam {

IValue output_part(const IValue& output, const PartPath& path) {
  IValue value = output;
  std::string where = "output";
  for (const auto& step : path) {
    auto found = part_at(value, {step});
    if (!found) {
      std::string names;
      for (const auto& [name, _] : parts_of(value)) names += (names.empty() ? "" : ", ") + name;
      throw Error("ERR_TARGET", "The model's " + where + " has no part " + path_text({step}) + ": it is a " +
                                    value.tagKind() + (names.empty() ? "." : " of " + names + "."));
    }
    where += "[" + path_text({step}) + "]";
    value = std::move(*found);
  }
  return value;
}

Tensor output_tensor(const IValue& output, const PartPath& path) {
  const auto value = output_part(output, path);
  if (!value.isTensor() || !value.toTensor().defined()) {
    std::string where = "output";
    for (const auto& step : path) where += "[" + path_text({step}) + "]";
    throw Error("ERR_TARGET",
                "The model" + (path.empty() ? std::string(" returned a ") : "'s " + where + " is a ") +
                    value.tagKind() + ", so a class index does not say which of its tensors to explain.",
                Remedy{"Give the path to one "
                       "(`of`), or a function that turns the output into a scalar Tensor."});
  }
  return value.toTensor();
}

bool has_part(const IValue& value, const PartStep& step) { return part_at(value, {step}).has_value(); }

}  // namespace gradcam
