#include "javascript_thread.h"

#include <memory>
#include <optional>
#include <utility>

#include "core/base/cancel.h"

namespace gradcam::node {

JavascriptThread::JavascriptThread(Napi::Env env) : env_(env) {
  const auto name = Napi::String::New(env, "libtorch-gradcam");
  auto status =
      napi_create_threadsafe_function(env, nullptr, nullptr, name, /*max_queue_size=*/0,
                                      /*initial_thread_count=*/1, nullptr, nullptr, nullptr, run_task, &function_);
  // Only while a job runs does this environment keep the process alive.
  if (status == napi_ok) status = napi_unref_threadsafe_function(env, function_);
  if (status != napi_ok) throw Napi::Error::New(env, "libtorch-gradcam: this Node.js environment is ending");
}

void JavascriptThread::run_task(napi_env env, napi_value, void*, void* data) {
  const std::unique_ptr<Task> task(static_cast<Task*>(data));
  if (!env) return;  // without an environment there is nobody left to tell
  try {
    (*task)(Napi::Env(env));
  } catch (const Napi::Error&) {
    // Node refuses to run JavaScript: this worker is being terminated.
  }
}

void JavascriptThread::post(Task task) {
  auto data = std::make_unique<Task>(std::move(task));
  // Held during the call: once the environment has ended, the function is gone, and the caller may outlive both.
  std::lock_guard lock(mutex_);
  if (ended_) return;
  if (napi_call_threadsafe_function(function_, data.get(), napi_tsfn_nonblocking) == napi_ok) data.release();
}

uint32_t JavascriptThread::call(const std::function<uint32_t(Napi::Env)>& body) {
  // The environment may end while the caller waits; then the task outlives `body` and must not touch it.
  const auto answer = std::make_shared<std::optional<uint32_t>>();
  post([this, answer, &body](Napi::Env env) {
    {
      std::lock_guard lock(mutex_);
      if (ended_) return;
    }
    const auto result = body(env);
    {
      std::lock_guard lock(mutex_);
      *answer = result;
    }
    answered_.notify_all();
  });
  std::unique_lock lock(mutex_);
  answered_.wait(lock, [&] { return answer->has_value() || ended_; });
  if (!*answer) throw Cancelled();
  return **answer;
}

void JavascriptThread::job_began() {
  if (jobs_++ == 0) napi_ref_threadsafe_function(env_, function_);
}

void JavascriptThread::job_ended() {
  if (--jobs_ == 0) napi_unref_threadsafe_function(env_, function_);
}

void JavascriptThread::end() {
  {
    std::lock_guard lock(mutex_);
    ended_ = true;
  }
  answered_.notify_all();
}

}  // namespace gradcam::node
