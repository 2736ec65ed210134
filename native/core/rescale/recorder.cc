#include "recorder.h"

#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/operator_calls.h"
#include "ivalue_equal.h"
#include "rules.h"

namespace gradcam {

// Not in an anonymous namespace: members of RescaleRecorder::Recording have this type, which GCC warns of in a unity
// build.
namespace recording {

// One call of an operator on something that depends on the input.
struct Call {
  std::string name;
  std::vector<IValue> constants;  // its arguments, without the tensors that depend on the input
  RescaleValues values;           // of an operator that has a rule
};

struct CallContext : at::ObserverContext {
  Call call;
};

}  // namespace recording

namespace {

using recording::Call;
using recording::CallContext;

bool depends(const Tensor& tensor) { return tensor.requires_grad(); }

std::string plain_name(const std::string& name) {
  const auto space = name.find("::");
  return space == std::string::npos ? name : name.substr(space + 2);
}

[[noreturn]] void refuse_difference(const std::string& what) {
  throw Error("ERR_ACTIVATION",
              "DeepLIFT compares the run at the input with the run at the baseline, but " + what +
                  ", so that part of the difference of the scores cannot be attributed to the "
                  "input.",
              Remedy{"Use integrated gradients, or another baseline."});
}

}  // namespace

class RescaleRecorder::Recording : public OperatorCalls {
 public:
  IValue record(bool at_baseline, const std::function<IValue()>& run) {
    at_baseline_ = at_baseline;
    next_ = 0;
    const auto result = observe(run);
    if (!at_baseline && next_ != calls_.size()) refuse_difference("the baseline's calls more operators");
    return result;
  }

  int rules = 0;

 private:
  Context started(const std::string& name, std::vector<IValue> arguments) override {
    if (!in_graph() || !any_tensor(arguments, depends)) return nullptr;
    auto context = std::make_unique<CallContext>();
    auto& call = context->call;
    call.name = name;
    if (rescale_kind(call.name) != RescaleKind::none) call.values.x = input_of(call.name, arguments);
    for (const auto& argument : arguments)
      call.constants.push_back(
          map_tensors(argument, [](const Tensor& t) { return t.defined() && !depends(t) ? t.detach() : Tensor(); }));
    return context;
  }

  void ended(at::ObserverContext& context, const std::vector<IValue>& results) override {
    if (any_tensor(results, depends)) finish(static_cast<CallContext&>(context).call, results);
  }

  // The one argument that depends on the input. Undefined where there are two: the operator is then not a function of
  // one element. A copy where the call overwrites it, and at the baseline, because later calls may overwrite it.
  Tensor input_of(const std::string& name, const std::vector<IValue>& arguments) const {
    Tensor x;
    for (const auto& argument : arguments) {
      if (!any_tensor({argument}, depends)) continue;
      if (x.defined() || !argument.isTensor()) return {};
      x = argument.toTensor().detach();
    }
    return at_baseline_ || name.back() == '_' ? x.clone() : x;
  }

  void finish(Call& call, const std::vector<IValue>& results) {
    const auto kind = rescale_kind(call.name);
    if (call.values.x.defined() && results.front().isTensor()) {
      const auto y = results.front().toTensor().detach();
      call.values.y = at_baseline_ ? y.clone() : y;
      if (kind == RescaleKind::max_pool) call.values.indices = results.at(1).toTensor();
    }
    if (at_baseline_) {
      calls_.push_back(std::move(call));
      return;
    }
    if (next_ == calls_.size()) refuse_difference("the input's calls more operators");
    const auto reference = std::move(calls_[next_++]);
    if (reference.name != call.name)
      refuse_difference("the input's calls " + plain_name(call.name) + " where the baseline's calls " +
                        plain_name(reference.name));
    for (size_t i = 0; i < call.constants.size(); ++i)
      if (i >= reference.constants.size() || !ivalue_equal(call.constants[i], reference.constants[i]))
        refuse_difference("in " + plain_name(call.name) +
                          " they use different values that were computed from the input without a gradient, or "
                          "drawn at random");
    if (call.values.y.defined() && reference.values.y.defined() &&
        install_rule(kind, call.name, results.front().toTensor(), call.values, reference.values))
      ++rules;
  }

  std::vector<Call> calls_;  // at the baseline
  size_t next_ = 0;          // the one that the next call at the input is compared with
  bool at_baseline_ = true;
};

RescaleRecorder::RescaleRecorder() : recording_(std::make_unique<Recording>()) {}
RescaleRecorder::~RescaleRecorder() = default;

IValue RescaleRecorder::at_baseline(const std::function<IValue()>& run) { return recording_->record(true, run); }
IValue RescaleRecorder::at_input(const std::function<IValue()>& run) { return recording_->record(false, run); }
int RescaleRecorder::rules() const { return recording_->rules; }

}  // namespace gradcam
