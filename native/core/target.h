#pragma once
#include <torch/script.h>

#include <vector>

namespace gradcam {

using torch::Tensor;

// What a backward pass explains, as plain data.
struct Target {
  enum class Kind {
    top_class,  // the class with the highest logit, per image; the value itself where the model has one output
    classes,    // one class for all images, or one per image
  };
  Kind kind = Kind::top_class;
  std::vector<int64_t> classes;
};

struct ResolvedTarget {
  std::vector<int64_t> classes;  // one per image
  Tensor scores;                 // [N], with the graph of the logits
};

// Picks each image's score from logits [N, C], or [N] for a model with a single output.
ResolvedTarget resolve_target(const Tensor& logits, const Target& target);

}  // namespace gradcam
