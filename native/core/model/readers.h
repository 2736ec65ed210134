#pragma once
#include <memory>

#include "model_file.h"
#include "model_plan.h"
#include "torchscript_model.h"

namespace gradcam {

// Loads a model from a file of any format that the table of formats has (readers.cc). A file that is known but cannot
// be loaded is refused by an Error of its own code, with how to export it.
std::shared_ptr<Model> open_model(const ModelSource& source, const ModelOptions& options);

// The model of a plan, which JavaScript made of an exported program, or of an architecture and weights.
std::shared_ptr<Model> build_model(const ModelPlan& plan, const ModelOptions& options);

// Writes the module of a plan as a TorchScript file.
void save_as_torchscript(const ModelPlan& plan, const std::string& path);

}  // namespace gradcam
