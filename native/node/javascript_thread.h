#pragma once
#include <napi.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>

namespace gradcam::node {

// The way from other threads to the JavaScript thread of one environment.
class JavascriptThread {
 public:
  // Throws a Napi::Error where the environment is ending.
  explicit JavascriptThread(Napi::Env env);

  // On any thread: runs `task` on the JavaScript thread, from a macrotask. A task that the end of the environment
  // overtakes never runs.
  void post(std::function<void(Napi::Env)> task);

  // On another thread: runs `body` on the JavaScript thread, waits, and returns its result. Throws Cancelled when the
  // environment ends first.
  uint32_t call(const std::function<uint32_t(Napi::Env)>& body);

  // On the JavaScript thread. While a job is under way, the environment keeps the process alive.
  void job_began();
  void job_ended();

  // From now on `call` fails, also where it waits already.
  void end();

 private:
  using Task = std::function<void(Napi::Env)>;

  static void run_task(napi_env env, napi_value, void* context, void* data);

  napi_env env_;
  napi_threadsafe_function function_ = nullptr;
  size_t jobs_ = 0;
  std::mutex mutex_;
  std::condition_variable answered_;
  bool ended_ = false;
};

}  // namespace gradcam::node
