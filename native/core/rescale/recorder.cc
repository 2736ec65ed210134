#include "recorder.h"

#include <ATen/record_function.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <algorithm>
#include <exception>
#include <string>
#include <vector>

#include "core/base/error.h"
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

struct Context : at::ObserverContext {
  Call call;
};

}  // namespace recording

namespace {

using recording::Call;
using recording::Context;

// The recording of this thread's run. Callbacks are plain functions, which cannot hold a pointer to it.
thread_local RescaleRecorder::Recording* active = nullptr;

// True inside an autograd kernel, which calls operators on tensors that still have the graph from before the call.
bool below_autograd() {
  return c10::impl::tls_local_dispatch_key_set().excluded_.has(c10::DispatchKey::AutogradFunctionality);
}

// The stack of an interpreter holds more than the last arguments or results.
template <typename Values>
std::vector<IValue> last(const Values& values, size_t count) {
  // Not in braces: a pointer would convert to bool, and bool to IValue.
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
  throw Error("ERR_ACTIVATION",
              "DeepLIFT compares the run at the input with the run at the baseline, but " + what +
                  ", so that part of the difference of the scores cannot be attributed to the "
                  "input.",
              Remedy{"Use integrated gradients, or another baseline."});
}

}  // namespace

class RescaleRecorder::Recording {
 public:
  IValue record(bool at_baseline, const std::function<IValue()>& run) {
    at_baseline_ = at_baseline;
    next_ = 0;
    struct Scope {
      explicit Scope(Recording* recording)
          : handle(at::addThreadLocalCallback(at::RecordFunctionCallback(started, ended)
                                                  .needsInputs(true)
                                                  .needsOutputs(true)
                                                  .scopes({at::RecordScope::FUNCTION}))) {
        active = recording;
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
    if (!at_baseline && next_ != calls_.size()) refuse_difference("the baseline's calls more operators");
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

  // LibTorch logs and drops what a callback throws, so it is kept. Operators that a callback calls are not recorded.
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
  std::exception_ptr failure_;
};

RescaleRecorder::RescaleRecorder() : recording_(std::make_unique<Recording>()) {}
RescaleRecorder::~RescaleRecorder() = default;

IValue RescaleRecorder::at_baseline(const std::function<IValue()>& run) { return recording_->record(true, run); }
IValue RescaleRecorder::at_input(const std::function<IValue()>& run) { return recording_->record(false, run); }
int RescaleRecorder::rules() const { return recording_->rules; }

}  // namespace gradcam
