#pragma once
#include <napi.h>

#include <cstdint>
#include <exception>
#include <functional>
#include <string>
#include <unordered_map>

#include "core/base/error.h"

namespace gradcam::node {

// Thrown on an executor where a JavaScript hook threw; JavascriptErrors keeps the value thrown under this number.
struct HookThrew : std::exception {
  explicit HookThrew(uint32_t thrown) : thrown(thrown) {}
  uint32_t thrown;
  const char* what() const noexcept override { return "a JavaScript hook threw"; }
};

// Makes JavaScript's errors from C++ exceptions. Used on the JavaScript thread alone.
class JavascriptErrors {
 public:
  explicit JavascriptErrors(Napi::Env env) : env_(env) {}

  // `factory(code, problem, remedy, details)` makes the errors from now on.
  void set_factory(const Napi::Function& factory) { factory_ = Napi::Persistent(factory); }

  // A GradCamError, or the very value that a hook threw.
  Napi::Value to_javascript(std::exception_ptr error);

  // Keeps what `thrown` returns for HookThrew.
  uint32_t keep_thrown(const std::function<Napi::Value()>& thrown);

  void clear();

 private:
  Napi::Value make(const Error& error);
  Napi::Value take_thrown(const HookThrew& error);

  Napi::Env env_;
  Napi::FunctionReference factory_;
  std::unordered_map<uint32_t, Napi::Reference<Napi::Array>> thrown_;
  uint32_t next_thrown_ = 1;
};

}  // namespace gradcam::node
