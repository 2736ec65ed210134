#pragma once
#include <string_view>

#include "error.h"

namespace gradcam {

// What to do where an operation has no rule of DeepLIFT or of relevance propagation. A logit helps only where the
// operation is what makes probabilities of the logits, which attention has as well, inside of the model.
inline Remedy without_rule(std::string_view operation) {
  const bool makes_probabilities =
      operation.find("oftmax") != std::string_view::npos || operation.find("igmoid") != std::string_view::npos;
  return {makes_probabilities
              ? "If the model ends in it, explain a logit rather than a probability; if it is inside of the "
                "model, use integrated gradients."
              : "Use integrated gradients."};
}

}  // namespace gradcam
