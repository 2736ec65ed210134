#pragma once
#include <torch/csrc/jit/ir/ir.h>

#include <string>

#include "split.h"

namespace gradcam {

// For debugging. GRADCAM_DUMP_SPLIT=FOLDER in the environment, when the process starts, has every split model that is
// built write its head and its tail as TorchScript IR to text files in that folder, which is created where there is
// none. The files are named after where the model is cut: LAYER-head.txt and LAYER-tail.txt, with several layers joined
// by "+", input-tail.txt, or model-head.txt. Files of the same name are replaced.
//
// Either graph may be null. Throws ERR_INVALID_ARGUMENT where a file cannot be written.
void dump_split_if_asked(const SplitPlan& plan, const torch::jit::Graph* head, const torch::jit::Graph* tail);

// The same, to a folder that is given.
void dump_split(const std::string& folder, const SplitPlan& plan, const torch::jit::Graph* head,
                const torch::jit::Graph* tail);

}  // namespace gradcam
