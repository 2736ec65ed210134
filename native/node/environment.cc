#include "environment.h"

#include <algorithm>

namespace gradcam::node {

namespace {

Napi::Array to_array(Napi::Env env, const std::vector<std::string>& texts) {
  auto array = Napi::Array::New(env, texts.size());
  for (uint32_t i = 0; i < texts.size(); ++i) array[i] = Napi::String::New(env, texts[i]);
  return array;
}

}  // namespace

Napi::Value with_warnings(const Napi::Value& value, const std::vector<std::string>& warnings) {
  if (warnings.empty() || !value.IsObject()) return value;
  try {
    value.As<Napi::Object>().Set("warnings", to_array(value.Env(), warnings));
  } catch (const Napi::Error&) {
    // A hook threw an object that cannot be changed.
  }
  return value;
}

std::shared_ptr<Environment> Environment::create(Napi::Env env) {
  auto environment = std::make_shared<Environment>(env);
  env.SetInstanceData(new std::shared_ptr<Environment>(environment));
  return environment;
}

Environment& Environment::of(Napi::Env env) { return **env.GetInstanceData<std::shared_ptr<Environment>>(); }

Environment::Environment(Napi::Env env) : env_(env), errors_(env), javascript_(env) {
  // Cleanup hooks run last in, first out: this one runs before Node takes the thread-safe function of `javascript_`
  // away.
  if (napi_add_env_cleanup_hook(env, on_environment_end, this) != napi_ok)
    throw Napi::Error::New(env, "libtorch-gradcam: this Node.js environment is ending");
}

void Environment::stop() {
  javascript_.end();
  executors_.stop();
}

void Environment::on_environment_end(void* data) {
  auto* self = static_cast<Environment*>(data);
  self->stop();
  self->kept_.clear();
  self->errors_.clear();
  self->tensor_class.Reset();
  self->model_class.Reset();
  self->pass_class.Reset();
  self->warning_listener.Reset();
}

void Environment::announce(const std::vector<std::string>& warnings) const {
  if (!warnings.empty() && !warning_listener.IsEmpty()) warning_listener.Call({to_array(env_, warnings)});
}

void Environment::account(int64_t bytes) {
  const auto beyond = [this] { return std::max<int64_t>(0, held_bytes_ - kUnaccounted); };
  const auto before = beyond();
  held_bytes_ += bytes;
  if (const auto change = beyond() - before) Napi::MemoryManagement::AdjustExternalMemory(env_, change);
}

void Environment::end_job(uint32_t ticket) {
  tickets_.job_ended(ticket);
  kept_.drop_released();
  javascript_.job_ended();
}

void Environment::call_javascript(const std::function<void(Napi::Env)>& body) {
  const auto thrown = javascript_.call([&](Napi::Env env) -> uint32_t {
    try {
      body(env);
      return 0;
    } catch (const Napi::Error& error) {
      return errors_.keep_thrown([&] { return error.Value(); });
    } catch (...) {
      return errors_.keep_thrown([&] { return errors_.to_javascript(std::current_exception()); });
    }
  });
  if (thrown) throw HookThrew(thrown);
}

std::shared_ptr<const Environment::Kept> Environment::keep(const Napi::Object& object) {
  return std::make_shared<const Kept>(shared_from_this(), kept_.keep(object));
}

}  // namespace gradcam::node
