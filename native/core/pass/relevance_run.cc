#include "relevance_run.h"

#include "core/base/error.h"
#include "core/base/no_rule.h"
#include "core/relevance/nodes.h"
#include "score_observer.h"

namespace gradcam {

void RelevanceRun::capture(const std::vector<IValue>& inputs, const CancelFlag* cancel) {
  RelevanceTape tape(context_.model.hooks().innermost);
  auto given = copy_inputs(inputs);
  const auto output = tape.observe([&] {
    run_for_score(context_, std::move(given), nullptr, cancel, captured_);
    return captured_.output;
  });
  std::vector<Tensor> ends;
  captured_.output = map_tensors(output, [&](const Tensor& tensor) {
    if (!tensor.defined() || !tensor.requires_grad() || !tensor.grad_fn()) return tensor;
    return ends.emplace_back(start_relevance(tensor));
  });
  graph_.emplace(ends, tape, *context_.plan.explains<Relevance>());
  captured_.intercepted = graph_->rules();
}

std::string RelevanceRun::layer_of(const Unruled& unruled) const {
  for (const auto& module : context_.model.submodules())
    if (module.id == unruled.module && !module.path.empty()) return module.path;
  return {};
}

Explained RelevanceRun::differentiate(const Tensor& score, bool keep_graph) const {
  if (const auto unruled = graph_->unruled(score)) {
    const auto layer = layer_of(*unruled);
    const auto where = layer.empty() ? "" : " in layer '" + layer + "'";
    throw Error("ERR_ACTIVATION",
                "The score goes through " + unruled->name + where + ", for which relevance propagation has no rule" +
                    (unruled->why.empty() ? "" : ": " + unruled->why) + ".",
                without_rule(unruled->name), {{"operator", unruled->name}, {"layer", layer}});
  }
  return Run::differentiate(score, keep_graph);
}

}  // namespace gradcam
