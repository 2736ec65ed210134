#include "input_layout.h"

namespace gradcam {

bool has_channels_last(const Model& model, at::IntArrayRef sizes, size_t input) {
  if (sizes.size() != 4) return false;
  const auto& seen = model.code().first_convolutions;
  const bool looks_so = (sizes[3] == 3 || sizes[3] == 4) && sizes[1] > 4 && sizes[2] > 4;
  return looks_so && (input >= seen.size() || !seen[input]);
}

std::vector<int64_t> spatial_size(const Model& model, const std::vector<IValue>& inputs, size_t input) {
  if (input >= inputs.size() || !inputs[input].isTensor() || inputs[input].toTensor().dim() <= 2) return {};
  const auto sizes = inputs[input].toTensor().sizes();
  return has_channels_last(model, sizes, input) ? sizes.slice(1, 2).vec() : sizes.slice(2).vec();
}

}  // namespace gradcam
