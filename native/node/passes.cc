#include <tuple>

#include "convert.h"
#include "core/base/error.h"
#include "core/pass/parts.h"
#include "handles.h"
#include "plan.h"

namespace gradcam::node {

namespace {

Napi::Value tensor_or_null(Napi::Env env, const Tensor& tensor) {
  return tensor.defined() ? Napi::Value(TensorHandle::wrap(env, tensor)) : env.Null();
}

Napi::Array to_flags(Napi::Env env, const std::vector<bool>& flags) {
  auto array = Napi::Array::New(env, flags.size());
  for (uint32_t i = 0; i < flags.size(); ++i) array[i] = static_cast<bool>(flags[i]);
  return array;
}

Napi::Array to_array(Napi::Env env, const std::vector<MethodMap>& maps) {
  auto array = Napi::Array::New(env, maps.size());
  for (uint32_t i = 0; i < maps.size(); ++i) {
    auto object = Napi::Object::New(env);
    object.Set("map", TensorHandle::wrap(env, maps[i].map));
    object.Set("contribution", tensor_or_null(env, maps[i].contribution));
    object.Set("allZero", to_flags(env, maps[i].all_zero));
    object.Set("nonFinite", to_flags(env, maps[i].non_finite));
    object.Set("constant", to_flags(env, maps[i].constant));
    object.Set("sameScores", to_flags(env, maps[i].same_scores));
    array[i] = object;
  }
  return array;
}

Napi::Object to_object(Napi::Env env, const RowsFound& rows) {
  auto object = Napi::Object::New(env);
  object.Set("independent", rows.independent);
  object.Set("why", rows.why);
  object.Set("layer", rows.layer);
  object.Set("random", rows.random);
  object.Set("alone", rows.alone);
  return object;
}

Napi::Array to_array(Napi::Env env, const PartPath& path) {
  auto array = Napi::Array::New(env, path.size());
  for (uint32_t i = 0; i < path.size(); ++i) {
    if (const auto* name = std::get_if<std::string>(&path[i]))
      array[i] = *name;
    else
      array[i] = static_cast<double>(std::get<int64_t>(path[i]));
  }
  return array;
}

// { concepts, maps, scores, noScores }
Napi::Object to_object(Napi::Env env, const FactorsFound& found) {
  auto object = Napi::Object::New(env);
  object.Set("concepts", TensorHandle::wrap(env, found.factors.concepts));
  object.Set("maps", TensorHandle::wrap(env, found.factors.maps));
  object.Set("scores", tensor_or_null(env, found.scores));
  object.Set("noScores", found.no_scores ? Environment::of(env).errors().to_javascript(found.no_scores) : env.Null());
  return object;
}

// { classes, of, scores, layers: [{ shape, calls, zeroActivation, zeroGradient, nonFinite, activation, gradient }],
// maps: [[{ map, contribution, allZero, nonFinite, constant, sameScores }]], failures: [error | null], inputGradient,
// fullGrad, attention:
// [{ weights, gradient }], factors, rows }
Napi::Object to_object(Napi::Env env, const Explained& explained) {
  auto object = Napi::Object::New(env);
  auto classes = Napi::Array::New(env);
  for (uint32_t i = 0; i < explained.classes.size(); ++i) classes[i] = static_cast<double>(explained.classes[i]);
  object.Set("classes", classes);
  object.Set("of", to_array(env, explained.of));
  auto scores = Napi::Array::New(env);
  const auto values = explained.scores.contiguous();
  for (uint32_t i = 0; i < values.numel(); ++i) scores[i] = values.const_data_ptr<double>()[i];
  object.Set("scores", scores);
  auto layers = Napi::Array::New(env);
  for (uint32_t i = 0; i < explained.layers.size(); ++i) {
    auto layer = Napi::Object::New(env);
    const auto& sizes = explained.layers[i].shape;
    auto shape = Napi::Array::New(env, sizes.size());
    for (uint32_t d = 0; d < sizes.size(); ++d) shape[d] = static_cast<double>(sizes[d]);
    layer.Set("shape", shape);
    layer.Set("calls", static_cast<double>(explained.layers[i].calls));
    layer.Set("zeroActivation", to_flags(env, explained.layers[i].zero_activation));
    layer.Set("zeroGradient", to_flags(env, explained.layers[i].zero_gradient));
    layer.Set("cancelledGradient", to_flags(env, explained.layers[i].cancelled_gradient));
    layer.Set("nonFinite", to_flags(env, explained.layers[i].non_finite));
    layer.Set("activation", tensor_or_null(env, explained.layers[i].activation));
    layer.Set("gradient", tensor_or_null(env, explained.layers[i].gradient));
    layers[i] = layer;
  }
  object.Set("layers", layers);
  auto maps = Napi::Array::New(env, explained.maps.size());
  for (uint32_t i = 0; i < explained.maps.size(); ++i) maps[i] = to_array(env, explained.maps[i]);
  object.Set("maps", maps);
  auto failures = Napi::Array::New(env, explained.failures.size());
  for (uint32_t i = 0; i < explained.failures.size(); ++i)
    failures[i] =
        explained.failures[i] ? Environment::of(env).errors().to_javascript(explained.failures[i]) : env.Null();
  object.Set("failures", failures);
  object.Set("inputGradient", tensor_or_null(env, explained.input_gradient));
  object.Set("fullGrad", tensor_or_null(env, explained.full_grad));
  auto attention = Napi::Array::New(env, explained.attention.size());
  for (uint32_t i = 0; i < explained.attention.size(); ++i) {
    auto one = Napi::Object::New(env);
    one.Set("weights", TensorHandle::wrap(env, explained.attention[i].weights));
    one.Set("gradient", TensorHandle::wrap(env, explained.attention[i].gradient));
    attention[i] = one;
  }
  object.Set("attention", attention);
  object.Set("factors", explained.factors ? Napi::Value(to_object(env, *explained.factors)) : env.Null());
  object.Set("rows", explained.rows ? Napi::Value(to_object(env, *explained.rows)) : env.Null());
  return object;
}

}  // namespace

Napi::Function PassHandle::define(Napi::Env env) {
  return DefineClass(
      env, "PassHandle",
      {InstanceMethod<&PassHandle::forward>("forward"), InstanceMethod<&PassHandle::backward>("backward"),
       InstanceMethod<&PassHandle::explain>("explain"), InstanceMethod<&PassHandle::probe>("probe"),
       InstanceMethod<&PassHandle::fork>("fork"), InstanceMethod<&PassHandle::dispose>("dispose")});
}

Napi::Object PassHandle::wrap(Napi::Env env, std::shared_ptr<Pass> pass, std::shared_ptr<Executor> executor) {
  auto parts = std::pair(std::move(pass), std::move(executor));
  return Environment::of(env).pass_class.New({Napi::External<decltype(parts)>::New(env, &parts)});
}

PassHandle::PassHandle(const Napi::CallbackInfo& info)
    : ObjectWrap(info), environment_(Environment::of(info.Env()).shared_from_this()) {
  std::tie(pass_, executor_) = *constructor_argument<std::pair<std::shared_ptr<Pass>, std::shared_ptr<Executor>>>(info);
  info.This().As<Napi::Object>().TypeTag(&kPassTag);
}

const std::shared_ptr<Pass>& PassHandle::pass() const {
  if (!pass_) throw Error("ERR_CLOSED", "This explainer was closed.", Remedy{"Make a new one to explain more."});
  return pass_;
}

// fork() -> another pass of the same plan
Napi::Value PassHandle::fork(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value { return wrap(info.Env(), pass()->fork(), executor_); });
}

void PassHandle::dispose(const Napi::CallbackInfo&) { pass_.reset(); }

// forward(inputs, ticket) -> { output, kept, intercepted, whyHooked }: the caller's handles of the output, and the
// explainer's own of what the score is of
Napi::Value PassHandle::forward(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    auto inputs = to_inputs(info[0], pass()->model().forward_schema());
    struct Result {
      at::IValue output, scored;
      int intercepted;
      std::string why_hooked;
    };
    return environment_->submit<Result>(
        *executor_, info[1].ToNumber(),
        [pass = pass(), inputs](const CancelFlag& cancel) {
          const auto output = pass->forward(inputs, &cancel);
          return Result{output, pass->scored(), pass->intercepted(), pass->why_hooked()};
        },
        [](Napi::Env env, Result& result) -> Napi::Value {
          auto object = Napi::Object::New(env);
          object.Set("output", to_javascript(env, result.output));
          object.Set("kept", to_javascript(env, result.scored));
          object.Set("intercepted", result.intercepted);
          object.Set("whyHooked", result.why_hooked);
          return object;
        },
        WarningsGo::into_result);
  });
}

// backward(target: undefined | number[] | NativeTarget | scalar handle, ticket)
Napi::Value PassHandle::backward(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    std::function<Explained(const CancelFlag&)> work;
    if (is_tensor(info[0])) {
      work = [pass = pass(), score = unwrap_tensor(info[0])](const CancelFlag&) {
        return pass->backward(score, /*keep_graph=*/true);
      };
    } else {
      work = [pass = pass(), target = to_target(info[0])](const CancelFlag& cancel) {
        return pass->backward(target, /*keep_graph=*/true, &cancel);
      };
    }
    return environment_->submit<Explained>(
        *executor_, info[1].ToNumber(), std::move(work),
        [](Napi::Env env, Explained& explained) -> Napi::Value { return to_object(env, explained); },
        WarningsGo::into_result);
  });
}

// explain(inputs, target: undefined | number[] | NativeTarget, ticket): forward and backward in one job, in a pass of
// its own. Nothing is kept afterwards but the maps.
Napi::Value PassHandle::explain(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    auto inputs = to_inputs(info[0], pass()->model().forward_schema());
    return environment_->submit<ExplainedPass>(
        *executor_, info[2].ToNumber(),
        [pass = pass(), inputs, target = to_target(info[1])](const CancelFlag& cancel) {
          return gradcam::explain(*pass, inputs, target, cancel);
        },
        [](Napi::Env env, ExplainedPass& result) -> Napi::Value {
          auto object = to_object(env, result.explained);
          object.Set("output", to_javascript(env, result.output));
          object.Set("intercepted", result.intercepted);
          object.Set("whyHooked", result.why_hooked);
          return object;
        },
        WarningsGo::into_result);
  });
}

// probe(inputs, ticket) -> { independent, why, layer, random, alone }
Napi::Value PassHandle::probe(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    auto inputs = to_inputs(info[0], pass()->model().forward_schema());
    return environment_->submit<RowsFound>(
        *executor_, info[1].ToNumber(),
        [pass = pass(), inputs](const CancelFlag& cancel) { return pass->probe(inputs, &cancel); },
        [](Napi::Env env, RowsFound& rows) -> Napi::Value { return to_object(env, rows); });
  });
}

}  // namespace gradcam::node
