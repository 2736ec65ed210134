#include "handles.h"

#include <cstring>

#include "convert.h"
#include "core/base/error.h"

namespace gradcam::node {

// Random numbers: their only meaning is that nobody else uses them.
const napi_type_tag kTensorTag = {0x8f1d6a0c5e2b4f37, 0xa4c97e130b5d8826};
const napi_type_tag kModelTag = {0x2b7e90d1c4a34c58, 0x9d06f3e8715ab4c2};
const napi_type_tag kPassTag = {0x61c3f8b27d0e4a95, 0xb8e2541fa97c03d6};

namespace {

template <typename Handle>
Handle* unwrap(const Napi::Value& value, const napi_type_tag& tag, const char* what) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&tag))
    throw Error("ERR_INVALID_ARGUMENT", std::string("This is not a ") + what + " of libtorch-gradcam.");
  return Handle::Unwrap(value.As<Napi::Object>());
}

}  // namespace

bool is_tensor(const Napi::Value& value) {
  return value.IsObject() && value.As<Napi::Object>().CheckTypeTag(&kTensorTag);
}

const Tensor& unwrap_tensor(const Napi::Value& value) {
  const auto& tensor = unwrap<TensorHandle>(value, kTensorTag, "Tensor")->tensor();
  if (!tensor.defined()) throw Error("ERR_DISPOSED", "This Tensor was disposed. Clone what must outlive its owner.");
  return tensor;
}

const ModelHandle& unwrap_model_handle(const Napi::Value& value) {
  const auto& handle = *unwrap<ModelHandle>(value, kModelTag, "ScriptModule");
  if (!handle.model())
    throw Error("ERR_DISPOSED", "This ScriptModule was disposed.", Remedy{"Load it again to use it."});
  return handle;
}

const std::shared_ptr<Model>& unwrap_model(const Napi::Value& value) { return unwrap_model_handle(value).model(); }

Napi::Function TensorHandle::define(Napi::Env env) {
  return DefineClass(
      env, "TensorHandle",
      {InstanceAccessor<&TensorHandle::shape>("shape"), InstanceAccessor<&TensorHandle::dtype>("dtype"),
       InstanceAccessor<&TensorHandle::device>("device"), InstanceAccessor<&TensorHandle::grad>("grad"),
       InstanceAccessor<&TensorHandle::requires_grad, &TensorHandle::set_requires_grad>("requiresGrad"),
       InstanceMethod<&TensorHandle::bytes>("bytes"), InstanceMethod<&TensorHandle::dispose>("dispose")});
}

Napi::Object TensorHandle::wrap(Napi::Env env, const Tensor& tensor) {
  return Environment::of(env).tensor_class.New({Napi::External<Tensor>::New(env, const_cast<Tensor*>(&tensor))});
}

TensorHandle::TensorHandle(const Napi::CallbackInfo& info)
    : ObjectWrap(info),
      environment_(Environment::of(info.Env()).shared_from_this()),
      tensor_(*constructor_argument<Tensor>(info)) {
  info.This().As<Napi::Object>().TypeTag(&kTensorTag);
  ++environment_->live_tensors;
  // Views count in full: the collector has to know what letting go of the last of them would free.
  if (tensor_.defined() && tensor_.is_cpu()) accounted_bytes_ = static_cast<int64_t>(tensor_.nbytes());
  if (accounted_bytes_) environment_->account(accounted_bytes_);
}

TensorHandle::~TensorHandle() { release(); }

void TensorHandle::release() {
  if (!tensor_.defined()) return;
  tensor_ = Tensor();
  --environment_->live_tensors;
  if (accounted_bytes_) environment_->account(-accounted_bytes_);
}

void TensorHandle::dispose(const Napi::CallbackInfo&) { release(); }

Napi::Value TensorHandle::shape(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto sizes = unwrap_tensor(info.This()).sizes();
    auto shape = Napi::Array::New(info.Env(), sizes.size());
    for (uint32_t i = 0; i < sizes.size(); ++i) shape[i] = Napi::Number::New(info.Env(), static_cast<double>(sizes[i]));
    return shape;
  });
}

Napi::Value TensorHandle::dtype(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::String::New(info.Env(), dtype_name(unwrap_tensor(info.This()).scalar_type()));
  });
}

Napi::Value TensorHandle::device(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::String::New(info.Env(), unwrap_tensor(info.This()).device().str());
  });
}

Napi::Value TensorHandle::requires_grad(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::Boolean::New(info.Env(), unwrap_tensor(info.This()).requires_grad());
  });
}

void TensorHandle::set_requires_grad(const Napi::CallbackInfo& info, const Napi::Value& value) {
  guarded(info.Env(), [&] {
    const auto& tensor = unwrap_tensor(info.This());
    if (!value.IsBoolean()) throw Error("ERR_INVALID_ARGUMENT", "requiresGrad must be true or false.");
    const bool required = value.As<Napi::Boolean>();
    if (!required && tensor.requires_grad() && !tensor.is_leaf())
      throw Error("ERR_INVALID_ARGUMENT",
                  "An operator made this Tensor, so it is part of a graph and requires a gradient.",
                  Remedy{"Use detach() to get it off the graph."});
    tensor.set_requires_grad(required);
  });
}

Napi::Value TensorHandle::grad(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto& gradient = unwrap_tensor(info.This()).grad();
    return gradient.defined() ? Napi::Value(wrap(info.Env(), gradient)) : info.Env().Null();
  });
}

Napi::Value TensorHandle::bytes(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto source = unwrap_tensor(info.This()).detach().to(at::kCPU).contiguous();
    auto buffer = Napi::ArrayBuffer::New(info.Env(), source.nbytes());
    if (source.nbytes()) std::memcpy(buffer.Data(), source.const_data_ptr(), source.nbytes());
    return buffer;
  });
}

}  // namespace gradcam::node
