#pragma once
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "rule.h"
#include "tape.h"

namespace gradcam {

// An operator that has no rule.
struct Unruled {
  std::string name;              // "softmax"
  const void* module = nullptr;  // that called it
  std::string why;               // empty: it has no rule
};

// The autograd graph of a run whose nodes propagate relevance.
class RelevanceGraph {
 public:
  // Rewrites the graph from `outputs`, each from start_relevance, to its leaf.
  RelevanceGraph(const std::vector<Tensor>& outputs, const RelevanceTape& tape, const Composite& composite);

  // How many layers and sums follow a rule.
  int rules() const { return rules_; }
  // What of a score's graph has no rule: below the outputs, or above them where it is not linear.
  std::optional<Unruled> unruled(const Tensor& score) const;

 private:
  std::unordered_map<const torch::autograd::Node*, Unruled> unruled_;
  int rules_ = 0;
};

}  // namespace gradcam
