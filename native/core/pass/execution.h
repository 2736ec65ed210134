#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/model/model.h"
#include "pass_plan.h"

namespace gradcam {

// How a pass runs: with a split model, or hooked, and then why.
struct ExecutionChoice {
  std::shared_ptr<SplitModel> split;  // null where it is hooked
  std::string why_hooked;             // empty where it is split
};

// Decides how a pass of `plan` runs with these inputs. Throws ERR_NOT_SPLITTABLE where the plan requires a split and
// there is a reason against it.
ExecutionChoice choose_execution(const PassPlan& plan, Model& model, const std::vector<IValue>& inputs);

// Why the runs of methods that run the model again must be hooked; empty where they can be split. These runs record no
// graph, so fewer reasons apply to them.
std::string why_rerun_hooked(const PassPlan& plan, Model& model, const std::vector<IValue>& inputs);

// Throws ERR_NOT_SPLITTABLE where the plan requires a split. `why` is the reason against it.
void refuse_if_split_required(const PassPlan& plan, const std::string& why);

}  // namespace gradcam
