#pragma once
#include "run.h"

namespace gradcam {

// Rewrites the autograd graph that a run recorded from the input to its output. ReLUs get the rule of `guided`, where
// it is given; other nodes are replaced by faster ones with the same gradient. Sets what `captured` says of ReLUs.
// `others_hold_parts`: hooks may have kept tensors that lead to any node, so that none may be replaced.
void rewrite_input_graph(Captured& captured, const GuidedGradient* guided, bool others_hold_parts);

}  // namespace gradcam
