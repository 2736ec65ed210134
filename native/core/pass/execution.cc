#include "execution.h"

#include <algorithm>
#include <array>

#include "core/base/error.h"
#include "core/split/split_graph.h"

namespace gradcam {

namespace {

// What the reasons depend on.
struct Question {
  const PassPlan& plan;
  Model& model;
  const std::vector<IValue>& inputs;
  bool rerun;  // it is about the runs of methods that run the model again

  bool automatic() const { return plan.execution == Execution::automatic; }
};

// A reason to run hooked. The text is `why`, after the subject where there is one.
struct Reason {
  enum class AppliesTo { passes, passes_and_reruns } applies_to;
  bool (*holds)(const Question&);
  const char* why;
  const char* (*subject)(const Question&) = nullptr;
};

constexpr auto kPasses = Reason::AppliesTo::passes;
constexpr auto kPassesAndReruns = Reason::AppliesTo::passes_and_reruns;

const LayerMethod* method_amplifying_rounding(const PassPlan& plan) {
  if (const auto* layers = plan.explains<LayerMaps>())
    for (const auto* method : layers->maps.methods)
      if (method->amplifies_rounding) return method;
  return nullptr;
}

// The first that holds decides. Hooks come last: they are the one reason that the caller can remove later.
constexpr std::array<Reason, 15> kReasons = {{
    {kPassesAndReruns, [](const Question& q) { return q.plan.execution == Execution::hooked; }, "it was requested"},
    // oneDNN's convolutions turn NaN into zero where a ReLU is fused into them.
    {kPassesAndReruns, [](const Question& q) { return q.model.device().is_cpu() && !all_finite(q.inputs); },
     "the input contains NaN or infinity, which the split model's operators would hide"},
    {kPassesAndReruns,
     [](const Question& q) {
       const auto& found = q.model.code().findings;
       return q.automatic() && !q.plan.head_dtype && std::any_of(found.begin(), found.end(), [](const auto& one) {
                return one.kind == Finding::Kind::batch_statistics;
              });
     },
     "statistics of the batch amplify rounding errors"},
    {kPasses, [](const Question& q) { return q.plan.explains<FullGradient>() != nullptr; },
     "FullGrad captures every layer that has a bias"},
    {kPasses, [](const Question& q) { return q.plan.explains<AttentionGradients>() != nullptr; },
     "attention is found in the graph of the model's own operators"},
    {kPasses, [](const Question& q) { return q.plan.rescaled_from().defined(); },
     "DeepLIFT compares every operator of two runs"},
    {kPasses, [](const Question& q) { return q.plan.score_layer.has_value(); }, "the score is of what a layer returns"},
    {kPasses, [](const Question& q) { return q.plan.explains<Relevance>() != nullptr; },
     "rules of relevance are for the model's own operators"},
    {kPasses, [](const Question& q) { return q.plan.at_input() && q.plan.input != 0; },
     "the images are not the model's first input"},
    {kPasses,
     [](const Question& q) {
       const auto& images = q.inputs.at(q.plan.input);
       return q.plan.equally() && !(images.isTensor() && images.toTensor().dim() == 4);
     },
     "the input is not a batch of images"},
    {kPasses, [](const Question& q) { return q.plan.equally() && !q.model.device().is_cpu(); },
     "input gradients are sensitive to rounding at ReLUs"},
    {kPasses,
     [](const Question& q) {
       const auto* layers = q.plan.explains<LayerMaps>();
       return layers && layers->call.value_or(0) > 0;
     },
     "a later call of the layer is explained"},
    {kPasses,
     [](const Question& q) {
       const auto* layers = q.plan.explains<LayerMaps>();
       return layers && layers->part.has_value();
     },
     "a part of what the layer returns is explained"},
    {kPasses,
     [](const Question& q) { return q.automatic() && !q.plan.head_dtype && method_amplifying_rounding(q.plan); },
     "amplifies rounding errors", [](const Question& q) { return method_amplifying_rounding(q.plan)->name; }},
    {kPassesAndReruns, [](const Question& q) { return q.model.hooks().has_hooks(); },
     "hooks are registered on the model"},
}};

// Empty where no reason holds.
std::string first_reason(const Question& question) {
  for (const auto& reason : kReasons) {
    if (question.rerun && reason.applies_to == kPasses) continue;
    if (!reason.holds(question)) continue;
    return reason.subject ? std::string(reason.subject(question)) + " " + reason.why : reason.why;
  }
  return {};
}

}  // namespace

ExecutionChoice choose_execution(const PassPlan& plan, Model& model, const std::vector<IValue>& inputs) {
  auto why = first_reason({plan, model, inputs, /*rerun=*/false});
  if (why.empty()) {
    try {
      return {model.split(plan.split_plan()), {}};
    } catch (const CannotSplit& e) {
      why = (plan.equally() ? "input gradients are sensitive to rounding at ReLUs: " : "") + std::string(e.what());
    }
  }
  refuse_if_split_required(plan, why);
  return {nullptr, std::move(why)};
}

std::string why_rerun_hooked(const PassPlan& plan, Model& model, const std::vector<IValue>& inputs) {
  return first_reason({plan, model, inputs, /*rerun=*/true});
}

void refuse_if_split_required(const PassPlan& plan, const std::string& why) {
  if (plan.execution == Execution::split || plan.head_dtype)
    throw Error("ERR_NOT_SPLITTABLE",
                "The model cannot be split at its target layers, which a reduced precision and execution 'split' "
                "require: " +
                    why + ".",
                Remedy{"Leave both options out, or pick another layer."});
}

}  // namespace gradcam
