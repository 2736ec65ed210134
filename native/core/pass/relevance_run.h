#pragma once
#include <optional>

#include "core/relevance/graph.h"
#include "run.h"

namespace gradcam {

// Runs the model as it is, and has the recorded graph propagate relevance.
class RelevanceRun : public Run {
 public:
  explicit RelevanceRun(const RunContext& context) : Run(context) {}

  Explained differentiate(const Tensor& score, bool keep_graph) const override;

 protected:
  void capture(const std::vector<IValue>& inputs, const CancelFlag* cancel) override;

 private:
  std::string layer_of(const Unruled& unruled) const;

  std::optional<RelevanceGraph> graph_;
};

}  // namespace gradcam
