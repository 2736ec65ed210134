#pragma once
#include <exception>
#include <vector>

#include "core/base/ivalues.h"

namespace gradcam {

class Model;

// Throws an Error with a code of its own where the cause of what LibTorch threw in a run is known: ERR_CHANNELS for an
// input of another number of channels, ERR_DTYPE for one of another type or for types that the model's own code mixes,
// ERR_MODEL_DEVICE for code that names a device. Else it returns.
void refuse_run(const Model& model, const std::vector<IValue>& inputs, const std::exception& error);

}  // namespace gradcam
