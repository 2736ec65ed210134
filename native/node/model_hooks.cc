#include "model_hooks.h"

#include <functional>
#include <optional>

#include "convert.h"
#include "core/base/error.h"
#include "handles.h"

namespace gradcam::node {

namespace {

Napi::Array to_array(Napi::Env env, const std::vector<at::IValue>& values) {
  auto array = Napi::Array::New(env, values.size());
  for (uint32_t i = 0; i < values.size(); ++i) array[i] = to_javascript(env, values[i]);
  return array;
}

// Calls a JavaScript hook from the executor thread, under the grad mode of the pass: operators that the hook uses
// record a graph exactly where the model's own would.
void call_hook(const Hook& hook, const std::function<void(Napi::Env, const Napi::Function&)>& call) {
  const bool grad_mode = at::GradMode::is_enabled();
  hook->environment().call_javascript([&](Napi::Env env) {
    const Napi::HandleScope scope(env);
    const at::AutoGradMode mode(grad_mode);
    call(env, hook->function());
  });
}

// Converts a value that a hook returned. Where it does not fit, the error says that the hook is the cause.
template <typename Convert>
auto from_hook(Convert&& convert) -> decltype(convert()) {
  try {
    return convert();
  } catch (const Error& error) {
    if (error.code() != "ERR_INVALID_ARGUMENT") throw;
    throw Error("ERR_HOOK_RESULT", error.what(), Remedy{"Return undefined to leave values alone."});
  }
}

}  // namespace

ForwardPreHook forward_pre_hook(Hook function) {
  return [function](const Inputs& inputs) {
    std::optional<Inputs> replaced;
    call_hook(function, [&](Napi::Env env, const Napi::Function& hook) {
      const auto answer = hook.Call({to_array(env, inputs)});
      if (answer.IsUndefined()) return;
      auto values = answer;
      if (!answer.IsArray() || (inputs.size() == 1 && inputs[0].isList())) {
        auto single = Napi::Array::New(env, 1);
        single[uint32_t{0}] = answer;
        values = single;
      }
      const auto array = values.As<Napi::Array>();
      if (array.Length() != inputs.size())
        throw Error("ERR_HOOK_RESULT",
                    "A forward pre-hook returned " + std::to_string(array.Length()) +
                        " values where the module takes " + std::to_string(inputs.size()) + ".",
                    Remedy{"Return all inputs, or undefined to leave them alone."});
      replaced.emplace();
      for (uint32_t i = 0; i < array.Length(); ++i)
        replaced->push_back(from_hook([&] {
          return to_ivalue(array[i], inputs[i].type(), "Input " + std::to_string(i) + " from a forward pre-hook");
        }));
    });
    return replaced;
  };
}

ForwardHook forward_hook(Hook function) {
  return [function](const Inputs& inputs, const at::IValue& output) {
    std::optional<at::IValue> replaced;
    call_hook(function, [&](Napi::Env env, const Napi::Function& hook) {
      const auto answer = hook.Call({to_array(env, inputs), to_javascript(env, output)});
      if (answer.IsUndefined()) return;
      replaced = from_hook([&] { return to_ivalue(answer, output.type(), "What a forward hook returns"); });
    });
    return replaced;
  };
}

FullBackwardHook full_backward_hook(Hook function) {
  return [function](const Gradients& grad_inputs, const Gradients& grad_outputs) {
    std::optional<Gradients> replaced;
    call_hook(function, [&](Napi::Env env, const Napi::Function& hook) {
      const std::vector<at::IValue> in(grad_inputs.begin(), grad_inputs.end());
      const std::vector<at::IValue> out(grad_outputs.begin(), grad_outputs.end());
      const auto answer = hook.Call({to_array(env, in), to_array(env, out)});
      if (answer.IsUndefined()) return;
      replaced.emplace();
      if (is_tensor(answer)) {
        replaced->push_back(unwrap_tensor(answer));
        return;
      }
      if (!answer.IsArray())
        throw Error("ERR_HOOK_RESULT",
                    "A full backward hook must return gradients (an array of Tensors or null, or one "
                    "Tensor), or undefined.");
      const auto array = answer.As<Napi::Array>();
      for (uint32_t i = 0; i < array.Length(); ++i) {
        const Napi::Value gradient = array[i];
        replaced->push_back(gradient.IsNull() ? Tensor() : from_hook([&] { return unwrap_tensor(gradient); }));
      }
    });
    return replaced;
  };
}

}  // namespace gradcam::node
