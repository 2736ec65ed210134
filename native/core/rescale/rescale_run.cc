#include "rescale_run.h"

#include <ATen/record_function.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <algorithm>
#include <exception>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "rules.h"
#include "same_value.h"

namespace gradcam {

// Not in an anonymous namespace: members of RescaleRun::Recorder have this type, which GCC warns of in a unity build.
namespace recording {

// One call of an operator on something that depends on the input.
struct Call {
  std::string name;
  std::vector<IValue> constants;  // its arguments, without the tensors that depend on the input
  RescaleValues values;           // of one that there may be a rule for
};

struct Context : at::ObserverContext {
  Call call;
};

}  // namespace recording

namespace {

using recording::Call;
using recording::Context;

// Callbacks are plain functions: this is whom they belong to, while a run on this thread is recorded.
thread_local RescaleRun::Recorder* active = nullptr;

// Inside an autograd kernel the operators below it are called on tensors that still have the graph of before.
bool below_autograd() {
  return c10::impl::tls_local_dispatch_key_set().excluded_.has(c10::DispatchKey::AutogradFunctionality);
}

// The stack of an interpreter holds more than the last arguments or results.
template <typename Values>
std::vector<IValue> last(const Values& values, size_t count) {
  // Not in braces: a pointer makes a bool, and that an IValue.
  return std::vector<IValue>(values.end() - static_cast<std::ptrdiff_t>(std::min(count, values.size())), values.end());
}

bool any_tensor(const std::vector<IValue>& values, const std::function<bool(const Tensor&)>& holds) {
  bool any = false;
  for (const auto& value : values)
    for_each_tensor(value, [&](const Tensor& tensor) { any |= tensor.defined() && holds(tensor); });
  return any;
}

bool depends(const Tensor& tensor) { return tensor.requires_grad(); }

std::string plain_name(const std::string& name) {
  const auto space = name.find("::");
  return space == std::string::npos ? name : name.substr(space + 2);
}

[[noreturn]] void refuse_difference(const std::string& what) {
  throw Error("ERR_ACTIVATION", "DeepLIFT compares the run of the input with that of the baseline, but " + what +
                                    ", so that the difference of the scores has causes that no rule can share out. Use "
                                    "integrated gradients, or another baseline.");
}

}  // namespace

class RescaleRun::Recorder {
 public:
  IValue record(bool at_baseline, const std::function<IValue()>& run) {
    at_baseline_ = at_baseline;
    next_ = 0;
    struct Scope {
      explicit Scope(Recorder* recorder)
          : handle(at::addThreadLocalCallback(at::RecordFunctionCallback(started, ended)
                                                  .needsInputs(true)
                                                  .needsOutputs(true)
                                                  .scopes({at::RecordScope::FUNCTION}))) {
        active = recorder;
      }
      ~Scope() {
        active = nullptr;
        at::removeCallback(handle);
      }
      at::CallbackHandle handle;
    };
    const auto result = [&] {
      const Scope scope(this);
      const at::RecordFunctionGuard enabled(true);
      return run();
    }();
    if (failure_) std::rethrow_exception(failure_);
    if (!at_baseline && next_ != calls_.size()) refuse_difference("the latter calls more operators");
    return result;
  }

  int rules = 0;

 private:
  static std::unique_ptr<at::ObserverContext> started(const at::RecordFunction& function) {
    if (!active || active->failure_ || !at::GradMode::is_enabled() || below_autograd()) return nullptr;
    return active->guarded([&]() -> std::unique_ptr<at::ObserverContext> {
      auto arguments = last(function.inputs(), function.num_inputs());
      if (!any_tensor(arguments, depends)) return nullptr;
      auto context = std::make_unique<Context>();
      auto& call = context->call;
      call.name = function.name();
      if (rescale_kind(call.name) != RescaleKind::none) call.values.x = active->input_of(call.name, arguments);
      for (const auto& argument : arguments)
        call.constants.push_back(
            map_tensors(argument, [](const Tensor& t) { return t.defined() && !depends(t) ? t.detach() : Tensor(); }));
      return context;
    });
  }

  static void ended(const at::RecordFunction& function, at::ObserverContext* context) {
    if (!active || active->failure_ || !context) return;
    active->guarded([&]() -> std::unique_ptr<at::ObserverContext> {
      const auto results = last(function.outputs(), function.num_outputs());
      if (any_tensor(results, depends)) active->finish(static_cast<Context*>(context)->call, results);
      return nullptr;
    });
  }

  // What a callback throws would be logged and forgotten; what it calls is not to be recorded.
  std::unique_ptr<at::ObserverContext> guarded(const std::function<std::unique_ptr<at::ObserverContext>()>& body) {
    const at::RecordFunctionGuard disabled(false);
    const at::NoGradGuard no_graph;
    try {
      return body();
    } catch (...) {
      failure_ = std::current_exception();
      return nullptr;
    }
  }

  // The one argument that depends on the input; none where there are two, which makes no function of one element. A
  // copy where the call overwrites it, and at the baseline, since later calls may.
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
    if (next_ == calls_.size()) refuse_difference("the former calls more operators");
    const auto reference = std::move(calls_[next_++]);
    if (reference.name != call.name)
      refuse_difference("the former calls " + plain_name(call.name) + " where the latter calls " +
                        plain_name(reference.name));
    for (size_t i = 0; i < call.constants.size(); ++i)
      if (i >= reference.constants.size() || !same_value(call.constants[i], reference.constants[i]))
        refuse_difference("in " + plain_name(call.name) +
                          " they meet values that were made of the input without a gradient, or at random");
    if (call.values.y.defined() && reference.values.y.defined() &&
        put_rule(kind, call.name, results.front().toTensor(), call.values, reference.values))
      ++rules;
  }

  std::vector<Call> calls_;  // at the baseline
  size_t next_ = 0;          // the one that the next call at the input is compared with
  bool at_baseline_ = true;
  std::exception_ptr failure_;
};

RescaleRun::RescaleRun() : recorder_(std::make_unique<Recorder>()) {}
RescaleRun::~RescaleRun() = default;

IValue RescaleRun::at_baseline(const std::function<IValue()>& run) { return recorder_->record(true, run); }
IValue RescaleRun::at_input(const std::function<IValue()>& run) { return recorder_->record(false, run); }
int RescaleRun::rules() const { return recorder_->rules; }

}  // namespace gradcam
