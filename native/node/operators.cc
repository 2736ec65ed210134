#include "operators.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include <cctype>

#include "convert.h"
#include "core/base/error.h"
#include "handles.h"

namespace gradcam::node {

namespace {

struct Call {
  c10::OperatorHandle op;
  torch::jit::Stack stack;
};

std::string to_snake_case(const std::string& name) {
  std::string snake;
  for (const char c : name) {
    if (std::isupper(static_cast<unsigned char>(c))) snake += '_';
    snake += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return snake;
}

bool gives_names(const Napi::Value& value) {
  return value.IsObject() && !value.IsArray() && !value.IsTypedArray() && !is_tensor(value);
}

torch::jit::Stack to_stack(const c10::FunctionSchema& schema, const Napi::Array& values) {
  const auto& arguments = schema.arguments();
  uint32_t positional = values.Length();
  Napi::Object named;
  if (positional > 0 && gives_names(values[positional - 1])) named = values.Get(--positional).As<Napi::Object>();

  std::unordered_map<std::string, Napi::Value> by_name;
  if (!named.IsEmpty()) {
    const auto names = named.GetPropertyNames();
    for (uint32_t i = 0; i < names.Length(); ++i) {
      const auto value = named.Get(Napi::Value(names[i]));
      if (!value.IsUndefined()) by_name[to_snake_case(to_text(names[i], "option"))] = value;
    }
  }

  torch::jit::Stack stack;
  uint32_t next = 0;
  for (const auto& argument : arguments) {
    const auto what = "'" + argument.name() + "'";
    const auto found = by_name.find(argument.name());
    if (!argument.kwarg_only() && next < positional) {
      const Napi::Value value = values[next++];
      if (value.IsUndefined() && argument.default_value())
        stack.push_back(*argument.default_value());
      else
        stack.push_back(to_ivalue(value, argument.real_type(), what));
    } else if (found != by_name.end()) {
      stack.push_back(to_ivalue(found->second, argument.real_type(), what));
      by_name.erase(found);
    } else if (argument.default_value()) {
      stack.push_back(*argument.default_value());
    } else {
      throw Error("ERR_INVALID_ARGUMENT", what + " is missing");
    }
  }
  if (next < positional) throw Error("ERR_INVALID_ARGUMENT", "it takes fewer arguments");
  if (!by_name.empty()) throw Error("ERR_INVALID_ARGUMENT", "it has no option '" + by_name.begin()->first + "'");
  return stack;
}

Call resolve(const Napi::CallbackInfo& info) {
  const auto name = to_text(info[0], "The name of an operator");
  const auto overloads = info[1].As<Napi::Array>();
  const auto values = info[2].As<Napi::Array>();
  std::string reasons;
  for (uint32_t i = 0; i < overloads.Length(); ++i) {
    const auto op = c10::Dispatcher::singleton().findSchema({name, to_text(overloads[i], "An overload")});
    if (!op) continue;  // not in this LibTorch
    try {
      return {*op, to_stack(op->schema(), values)};
    } catch (const Error& error) {
      if (error.code() == "ERR_DISPOSED" || error.code() == "ERR_DEVICE" || error.code() == "ERR_DTYPE") throw;
      reasons += (reasons.empty() ? " " : "; ") + c10::toString(op->schema()) + ": " + error.what();
    }
  }
  const auto plain = name.substr(name.find("::") + 2);
  throw Error("ERR_INVALID_ARGUMENT", reasons.empty() ? "This LibTorch has no operator '" + plain + "'."
                                                      : "These arguments do not fit '" + plain + "':" + reasons);
}

at::IValue run(Call& call) {
  call.op.callBoxed(call.stack);
  if (call.stack.size() == 1) return std::move(call.stack.front());
  return c10::ivalue::Tuple::create(std::move(call.stack));
}

}  // namespace

Napi::Value call_operator(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    auto call = resolve(info);
    CollectedWarnings warnings;
    const auto result = to_javascript(info.Env(), run(call));
    Environment::of(info.Env()).announce(warnings.take());
    return result;
  });
}

Napi::Value call_operator_async(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    auto& environment = Environment::of(info.Env());
    return environment.submit<at::IValue>(
        environment.executors().operators(), info[3].ToNumber(),
        [call = resolve(info)](const CancelFlag&) mutable { return run(call); },
        [](Napi::Env env, at::IValue& result) { return to_javascript(env, result); });
  });
}

}  // namespace gradcam::node
