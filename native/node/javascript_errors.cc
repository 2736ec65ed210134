#include "javascript_errors.h"

#include "convert.h"
#include "core/base/cancel.h"

namespace gradcam::node {

Napi::Value JavascriptErrors::make(const Error& error) {
  if (factory_.IsEmpty()) {
    auto plain = Napi::Error::New(env_, error.what());
    plain.Set("code", Napi::String::New(env_, error.code()));
    return plain.Value();
  }
  auto object = Napi::Object::New(env_);
  for (const auto& [name, value] : error.details()) object.Set(name, node::to_javascript(env_, value));
  const auto details = error.details().empty() ? env_.Undefined() : Napi::Value(object);
  const auto remedy = error.remedy().empty() ? env_.Undefined() : Napi::String::New(env_, error.remedy());
  return factory_.Call(
      {Napi::String::New(env_, error.code()), Napi::String::New(env_, error.problem()), remedy, details});
}

Napi::Value JavascriptErrors::take_thrown(const HookThrew& error) {
  const auto found = thrown_.find(error.thrown);
  if (found == thrown_.end()) return make(Error("ERR_TORCH", error.what()));
  const Napi::Value thrown = found->second.Value().Get(uint32_t{0});
  thrown_.erase(found);
  return thrown;
}

Napi::Value JavascriptErrors::to_javascript(std::exception_ptr error) {
  try {
    std::rethrow_exception(error);
  } catch (const HookThrew& e) {
    return take_thrown(e);
  } catch (const Error& e) {
    return make(e);
  } catch (const Cancelled&) {
    return make(Error("ERR_ABORTED", "The call was aborted."));
  } catch (const Napi::Error& e) {
    return e.Value();
  } catch (const std::exception& e) {
    if (is_out_of_memory(e))
      return make(Error("ERR_OUT_OF_MEMORY", "LibTorch ran out of memory: " + concise_message(e),
                        Remedy{"Use smaller batches or images, or dispose tensors earlier."}));
    return make(Error("ERR_TORCH", "LibTorch refused: " + concise_message(e)));
  }
}

uint32_t JavascriptErrors::keep_thrown(const std::function<Napi::Value()>& thrown) {
  const auto id = next_thrown_++;
  try {
    auto holder = Napi::Array::New(env_, 1);  // keeps any value alive, objects and primitives alike
    holder[uint32_t{0}] = thrown();
    thrown_[id] = Napi::Reference<Napi::Array>::New(holder, 1);
  } catch (const Napi::Error&) {
    // The hook was ended by the end of its worker, which leaves no value.
  }
  return id;
}

void JavascriptErrors::clear() {
  thrown_.clear();
  factory_.Reset();
}

}  // namespace gradcam::node
