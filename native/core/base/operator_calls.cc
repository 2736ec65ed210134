#include "operator_calls.h"

#include <c10/core/impl/LocalDispatchKeySet.h>

#include <algorithm>
#include <exception>

namespace gradcam {

namespace {

// The observer of this thread's run. Callbacks are plain functions, which cannot hold a pointer to it.
thread_local OperatorCalls* active = nullptr;

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

}  // namespace

struct OperatorCalls::Callbacks {
  static Context started(const at::RecordFunction& function) {
    if (!active || active->failure_ || below_autograd()) return nullptr;
    return active->guarded(
        [&] { return active->started(function.name(), last(function.inputs(), function.num_inputs())); });
  }

  static void ended(const at::RecordFunction& function, at::ObserverContext* context) {
    if (!active || active->failure_ || !context) return;
    active->guarded([&]() -> Context {
      active->ended(*context, last(function.outputs(), function.num_outputs()));
      return nullptr;
    });
  }
};

IValue OperatorCalls::observe(const std::function<IValue()>& run) {
  struct Scope {
    explicit Scope(OperatorCalls* observer)
        : handle(at::addThreadLocalCallback(at::RecordFunctionCallback(Callbacks::started, Callbacks::ended)
                                                .needsInputs(true)
                                                .needsOutputs(true)
                                                .scopes({at::RecordScope::FUNCTION}))) {
      active = observer;
    }
    ~Scope() {
      active = nullptr;
      at::removeCallback(handle);
    }
    at::CallbackHandle handle;
  };
  failure_ = nullptr;
  const auto result = [&] {
    const Scope scope(this);
    const at::RecordFunctionGuard enabled(true);
    return run();
  }();
  if (failure_) std::rethrow_exception(failure_);
  return result;
}

OperatorCalls::Context OperatorCalls::guarded(const std::function<Context()>& body) {
  const bool with_graph = at::GradMode::is_enabled();
  const at::RecordFunctionGuard disabled(false);
  const at::NoGradGuard no_graph;
  graph_ = with_graph;
  try {
    return body();
  } catch (...) {
    failure_ = std::current_exception();
    return nullptr;
  }
}

bool any_tensor(const std::vector<IValue>& values, const std::function<bool(const Tensor&)>& holds) {
  bool any = false;
  for (const auto& value : values)
    for_each_tensor(value, [&](const Tensor& tensor) { any |= tensor.defined() && holds(tensor); });
  return any;
}

std::string_view operator_base_name(std::string_view name) {
  if (const auto space = name.find("::"); space != std::string_view::npos) name.remove_prefix(space + 2);
  if (!name.empty() && name.back() == '_') name.remove_suffix(1);
  return name;
}

}  // namespace gradcam
