#pragma once
#include <napi.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/executor.h"

namespace gradcam::node {

// Thrown on an executor where a JavaScript hook threw; the value thrown waits in the environment under this number.
struct HookThrew : std::exception {
  explicit HookThrew(uint32_t thrown) : thrown(thrown) {}
  uint32_t thrown;
  const char* what() const noexcept override { return "a JavaScript hook threw"; }
};

// What one JavaScript environment (the main thread, or a worker) owns. There are no statics: two workers share nothing.
// Handles keep it alive, since the order in which Node finalizes objects and instance data is not defined.
class Environment : public std::enable_shared_from_this<Environment> {
 public:
  static std::shared_ptr<Environment> create(Napi::Env env);
  static Environment& of(Napi::Env env);

  explicit Environment(Napi::Env env);

  // Runs `work` on an executor's thread and settles the promise, from a macrotask, with what `finish` makes of its
  // result. `ticket` is the caller's number for cancelling it, 0 for none.
  template <typename Result>
  Napi::Promise submit(Executor& executor, uint32_t ticket, std::function<Result(const CancelFlag&)> work,
                       std::function<Napi::Value(Napi::Env, Result&)> finish);
  void cancel(uint32_t ticket);

  // Of operators and of loading. A model has an executor of its own, so that models run side by side: one that no model
  // holds any longer, or a new one. `threads` are its intra-op threads, 0 for the environment's number.
  Executor& executor();
  std::shared_ptr<Executor> take_executor(int threads);
  // Of images that are brought to a model's size, and of maps that are drawn on them, beside the models.
  Executor& image_executor();
  // The intra-op threads of every executor that was not given a number of its own. The JavaScript thread, the executor
  // of operators and the one of images have none but themselves: each thread that opens a parallel region gets a team
  // of its own from OpenMP, and once its teams outnumber the cores their threads sleep after every operator, a fifth of
  // a pass.
  void set_threads(int threads);
  int threads() const { return threads_; }

  // On an executor thread: runs `call` on the JavaScript thread and waits for it. Throws Cancelled when the environment
  // ends first, HookThrew when `call` throws.
  void call_javascript(const std::function<void(Napi::Env)>& call);

  // A JavaScript object that native code on another thread needs: the function of a hook, the memory that a job reads.
  // The reference lives here, on the JavaScript thread, because it must not be dropped on another; this may go on any.
  // A graph holds the backward hooks that it was recorded with, so that a hook may outlive its removal, as PyTorch's
  // do.
  class Kept {
   public:
    Kept(std::shared_ptr<Environment> environment, uint32_t id) : environment_(std::move(environment)), id_(id) {}
    ~Kept();
    Kept(const Kept&) = delete;
    Kept& operator=(const Kept&) = delete;
    Environment& environment() const { return *environment_; }
    Napi::Function function() const;  // on the JavaScript thread

   private:
    std::shared_ptr<Environment> environment_;
    uint32_t id_;
  };
  std::shared_ptr<const Kept> keep(const Napi::Object& object);

  // Cancels what runs and ends the executors' threads. What is submitted afterwards never runs.
  void stop();

  void set_error_class(const Napi::Function& error_class) { error_class_ = Napi::Persistent(error_class); }
  // What JavaScript sees of a C++ exception: a GradCamError, or the very value that a hook threw.
  Napi::Value to_javascript(std::exception_ptr error);
  Napi::Error make_error(const std::string& code, const std::string& message);

  Napi::Env env() const { return env_; }

  // Handles that hold a tensor.
  int64_t live_tensors = 0;
  Napi::FunctionReference tensor_class, model_class, pass_class;

 private:
  using Task = std::function<void(Napi::Env)>;

  static void run_task(napi_env env, napi_value, void* context, void* data);
  static void on_environment_end(void* self);
  void post(Task task);
  uint32_t keep_thrown(Napi::Env env, const std::function<Napi::Value()>& thrown);
  void begin_job();
  void end_job(uint32_t ticket);
  void drop_released();

  Napi::Env env_;
  napi_threadsafe_function javascript_ = nullptr;
  struct OwnedExecutor {
    std::shared_ptr<Executor> executor;
    int threads;  // 0: the environment's number
  };
  std::vector<OwnedExecutor> executors_;
  std::shared_ptr<Executor> executor_, image_executor_;
  bool ended_ = false;  // on the JavaScript thread: what is taken from now on never runs
  int threads_;
  size_t pending_jobs_ = 0;
  std::unordered_map<uint32_t, CancelFlagPtr> tickets_;
  std::unordered_map<uint32_t, Napi::ObjectReference> kept_;
  uint32_t next_kept_ = 1;
  std::mutex released_mutex_;
  std::vector<uint32_t> released_;  // let go on any thread, dropped on this one
  Napi::FunctionReference error_class_;
  std::unordered_map<uint32_t, Napi::Reference<Napi::Array>> thrown_by_hooks_;
  uint32_t next_thrown_ = 1;

  std::mutex mutex_;
  std::condition_variable javascript_answered_;
  bool ending_ = false;
};

template <typename Result>
Napi::Promise Environment::submit(Executor& executor, uint32_t ticket, std::function<Result(const CancelFlag&)> work,
                                  std::function<Napi::Value(Napi::Env, Result&)> finish) {
  struct Outcome {
    std::optional<Result> result;
    std::exception_ptr error;
  };
  const auto deferred = Napi::Promise::Deferred::New(env_);
  const auto cancel = std::make_shared<CancelFlag>();
  if (ticket) tickets_[ticket] = cancel;
  begin_job();
  auto self = shared_from_this();
  auto run = [self, ticket, deferred, cancel, work = std::move(work), finish = std::move(finish)]() mutable {
    auto outcome = std::make_shared<Outcome>();
    try {
      cancel->check();
      outcome->result = work(*cancel);
    } catch (...) {
      outcome->error = std::current_exception();
    }
    work = nullptr;  // what it held is freed before the caller hears of the end
    self->post([self, ticket, deferred, finish, outcome](Napi::Env env) {
      self->end_job(ticket);
      if (outcome->error) return deferred.Reject(self->to_javascript(outcome->error));
      try {
        deferred.Resolve(finish(env, *outcome->result));
      } catch (const Napi::Error& error) {
        deferred.Reject(error.Value());
      } catch (...) {
        deferred.Reject(self->to_javascript(std::current_exception()));
      }
    });
  };
  executor.submit({std::move(run), cancel});
  return deferred.Promise();
}

}  // namespace gradcam::node
