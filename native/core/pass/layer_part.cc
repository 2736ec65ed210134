#include "layer_part.h"

#include <algorithm>
#include <vector>

#include "core/base/error.h"

namespace gradcam {

namespace {

constexpr size_t kMostListed = 8;

bool is_float_tensor(const IValue& value) {
  return value.isTensor() && value.toTensor().defined() && value.toTensor().is_floating_point();
}

std::string kind_of(const IValue& value) {
  if (value.isTensor()) {
    const auto& tensor = value.toTensor();
    if (!tensor.defined()) return "an undefined tensor";
    if (tensor.is_floating_point()) return "one tensor";
    return tensor.is_quantized() ? "a quantized tensor"
           : tensor.is_complex() ? "a tensor of complex numbers"
                                 : "a tensor of integers";
  }
  if (value.isNone()) return "None";
  return value.isGenericDict() ? "a Dict" : value.isList() ? "a List" : "a " + value.tagKind();
}

// "0 [2, 8, 12], [1, 0] [1, 2, 12]": the tensors that there are, by their paths.
std::string listed(const IValue& output, const std::vector<PartPath>& paths) {
  std::string text;
  for (size_t i = 0; i < std::min(paths.size(), kMostListed); ++i)
    text += (text.empty() ? "" : ", ") + path_text(paths[i]) + " " + shape_text(part_at(output, paths[i])->toTensor());
  return paths.size() > kMostListed ? text + " and more" : text;
}

}  // namespace

PartPath explained_part(const IValue& output, const std::optional<PartPath>& asked, const std::string& layer) {
  const auto returned = "Layer '" + layer + "' returned " + kind_of(output);
  if (!asked && is_float_tensor(output)) return {};
  const auto paths = paths_of_float_tensors(output);
  if (asked) {
    if (output.isTensor())
      throw Error("ERR_LAYER_OUTPUT", returned + ", which has no part " + path_text(*asked) + ".",
                  Remedy{"Leave `part` out for this layer."});
    const auto found = part_at(output, *asked);
    if (found && is_float_tensor(*found)) return *asked;
    throw Error("ERR_LAYER_OUTPUT",
                returned + (found ? ", whose part " + path_text(*asked) + " is " + kind_of(*found) + "."
                                  : ", which has no part " + path_text(*asked) + "."),
                Remedy{paths.empty() ? "Pick a layer inside or after it."
                                     : "Its floating-point tensors are: " + listed(output, paths) + "."});
  }
  if (paths.size() == 1) return paths.front();
  if (paths.empty())
    throw Error("ERR_LAYER_OUTPUT", returned + ", not one floating-point tensor.",
                Remedy{"Pick a layer inside or after it."});
  throw Error("ERR_LAYER_OUTPUT", returned + " of several tensors: " + listed(output, paths) + ".",
              Remedy{"Say by `part` which of them is explained, e.g. " + path_text(paths.front()) + "."});
}

}  // namespace gradcam
