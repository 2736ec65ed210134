#pragma once
#include <napi.h>
#include <torch/script.h>

#include <memory>
#include <unordered_set>
#include <vector>

#include "core/memory/caching_allocator.h"
#include "core/pass/pass.h"
#include "environment.h"

namespace gradcam::node {

// The three native objects that JavaScript holds. TypeScript wraps each in a class of its own, which owns validation
// and lifetime; a type tag keeps a foreign object from being taken for one of them.

class TensorHandle : public Napi::ObjectWrap<TensorHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Object wrap(Napi::Env env, const Tensor& tensor);

  explicit TensorHandle(const Napi::CallbackInfo& info);
  ~TensorHandle() override;
  const Tensor& tensor() const { return tensor_; }

 private:
  Napi::Value shape(const Napi::CallbackInfo& info);
  Napi::Value dtype(const Napi::CallbackInfo& info);
  Napi::Value device(const Napi::CallbackInfo& info);
  Napi::Value requires_grad(const Napi::CallbackInfo& info);
  void set_requires_grad(const Napi::CallbackInfo& info, const Napi::Value& value);
  Napi::Value grad(const Napi::CallbackInfo& info);
  Napi::Value bytes(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);
  void release();

  std::shared_ptr<Environment> environment_;
  Tensor tensor_;
  int64_t accounted_bytes_ = 0;
};

class ModelHandle : public Napi::ObjectWrap<ModelHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Object wrap(Napi::Env env, std::shared_ptr<Model> model, std::shared_ptr<Executor> executor);

  explicit ModelHandle(const Napi::CallbackInfo& info);
  ~ModelHandle() override;
  const std::shared_ptr<Model>& model() const { return model_; }
  const std::shared_ptr<Executor>& executor() const { return executor_; }

 private:
  Napi::Value facts(const Napi::CallbackInfo& info);
  Napi::Value modules(const Napi::CallbackInfo& info);
  Napi::Value operators(const Napi::CallbackInfo& info);
  Napi::Value fingerprint(const Napi::CallbackInfo& info);
  Napi::Value arguments(const Napi::CallbackInfo& info);
  Napi::Value forward(const Napi::CallbackInfo& info);
  Napi::Value images_at_once(const Napi::CallbackInfo& info);
  Napi::Value take_at_once(const Napi::CallbackInfo& info);
  Napi::Value add_hook(const Napi::CallbackInfo& info);
  void remove_hook(const Napi::CallbackInfo& info);
  void check_layer(const Napi::CallbackInfo& info);
  Napi::Value channels_last(const Napi::CallbackInfo& info);
  Napi::Value splits(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);
  void release();

  std::shared_ptr<Environment> environment_;
  std::shared_ptr<Model> model_;
  std::shared_ptr<Executor> executor_;  // runs the model
  std::unordered_set<HookId> hooks_;
};

class PassHandle : public Napi::ObjectWrap<PassHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Object wrap(Napi::Env env, std::shared_ptr<Pass> pass, std::shared_ptr<Executor> executor);

  explicit PassHandle(const Napi::CallbackInfo& info);

 private:
  Napi::Value forward(const Napi::CallbackInfo& info);
  Napi::Value backward(const Napi::CallbackInfo& info);
  Napi::Value explain(const Napi::CallbackInfo& info);
  Napi::Value probe(const Napi::CallbackInfo& info);
  Napi::Value fork(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);
  const std::shared_ptr<Pass>& pass() const;

  std::shared_ptr<Environment> environment_;
  std::shared_ptr<Pass> pass_;
  std::shared_ptr<Executor> executor_;  // the model's
};

extern const napi_type_tag kTensorTag, kModelTag, kPassTag;

bool is_tensor(const Napi::Value& value);
// The tensor in a handle. Throws an Error for a value that is not a handle, and for a handle that was disposed.
const Tensor& unwrap_tensor(const Napi::Value& value);
const std::shared_ptr<Model>& unwrap_model(const Napi::Value& value);
const ModelHandle& unwrap_model_handle(const Napi::Value& value);

// Runs `body` with the cache of tensor memory, and turns any C++ exception into a JavaScript error.
template <typename Body>
auto guarded(Napi::Env env, Body&& body) -> decltype(body()) {
  const CachedMemory cached;
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    auto& environment = Environment::of(env);
    throw Napi::Error(env, environment.errors().to_javascript(std::current_exception()));
  }
}

// The pointer that a native constructor was given, or a refusal: JavaScript cannot make handles by itself.
template <typename T>
T* constructor_argument(const Napi::CallbackInfo& info) {
  if (info.Length() != 1 || !info[0].IsExternal())
    throw Napi::TypeError::New(info.Env(), "Native handles cannot be constructed from JavaScript.");
  return info[0].As<Napi::External<T>>().Data();
}

}  // namespace gradcam::node
