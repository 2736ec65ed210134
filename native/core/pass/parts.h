#pragma once
#include <memory>
#include <string>
#include <vector>

#include "pass.h"

namespace gradcam {

// What one forward and one backward pass gave.
struct ExplainedPass {
  IValue output;  // without its graph
  int intercepted = 0;
  std::string why_hooked;
  Explained explained;  // without activations and gradients of layers
};

// Forward and backward in passes of their own, of the plan of `pass`. Where the model takes fewer or more images at a
// time than were given, they run in parts, the last of them filled up with copies of its last image. So do batches
// whose graph would take much memory: see Pass::images_at_once.
ExplainedPass explain(const Pass& pass, const std::vector<IValue>& inputs, const Target& target,
                      const CancelFlag& cancel);

}  // namespace gradcam
