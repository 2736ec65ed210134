#pragma once
#include <memory>

#include "model_file.h"
#include "torchscript_model.h"

namespace gradcam {

// Loads a model from a file of any format that the table of formats has (readers.cc). A file that is known but cannot
// be loaded is refused by an Error of its own code, with how to export it.
std::shared_ptr<Model> open_model(const ModelSource& source, const ModelOptions& options);

}  // namespace gradcam
