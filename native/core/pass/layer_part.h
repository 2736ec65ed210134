#pragma once
#include <optional>
#include <string>

#include "core/base/value_parts.h"

namespace gradcam {

// Which part of what a layer returned is explained: the one that was asked for, or else the only floating-point tensor
// there is. Empty where the layer returned a tensor. ERR_LAYER_OUTPUT where that is none, or where there are several to
// choose from.
PartPath explained_part(const IValue& output, const std::optional<PartPath>& asked, const std::string& layer);

}  // namespace gradcam
