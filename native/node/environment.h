#pragma once
#include <napi.h>

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/warnings.h"
#include "executor_pool.h"
#include "javascript_errors.h"
#include "javascript_thread.h"
#include "kept_objects.h"
#include "tickets.h"

namespace gradcam::node {

// Where the warnings of a job that succeeds go: to the listener of the environment, or into the object that it results
// in, as `warnings`. Those of a job that fails are in the error.
enum class WarningsGo { to_listener, into_result };

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
                       std::function<Napi::Value(Napi::Env, Result&)> finish,
                       WarningsGo warnings_go = WarningsGo::to_listener);

  // On an executor thread: runs `body` on the JavaScript thread and waits for it. Throws Cancelled when the environment
  // ends first, HookThrew when `body` throws.
  void call_javascript(const std::function<void(Napi::Env)>& body);

  // A JavaScript object that native code on another thread needs: the function of a hook, the memory that a job reads.
  // Any thread may destroy it. A graph holds the backward hooks that it was recorded with, so that a hook may outlive
  // its removal, as PyTorch's do.
  class Kept {
   public:
    Kept(std::shared_ptr<Environment> environment, uint32_t id) : environment_(std::move(environment)), id_(id) {}
    ~Kept() { environment_->kept_.release(id_); }
    Kept(const Kept&) = delete;
    Kept& operator=(const Kept&) = delete;
    Environment& environment() const { return *environment_; }
    // On the JavaScript thread.
    Napi::Function function() const { return environment_->kept_.get(id_).As<Napi::Function>(); }

   private:
    std::shared_ptr<Environment> environment_;
    uint32_t id_;
  };
  std::shared_ptr<const Kept> keep(const Napi::Object& object);

  // Cancels what runs and ends the executors' threads; one that does not end within Executor::kLongestWait is left to
  // itself. What is submitted afterwards never runs.
  void stop();

  Napi::Env env() const { return env_; }
  ExecutorPool& executors() { return executors_; }
  Tickets& tickets() { return tickets_; }
  JavascriptErrors& errors() { return errors_; }

  // Handles that hold a tensor.
  int64_t live_tensors = 0;
  // The collector is told of what handles hold beyond this: a program that disposes its tensors holds less, and is not
  // to be stopped for collections of which a batch of images would cause one.
  static constexpr int64_t kUnaccounted = int64_t{128} << 20;
  void account(int64_t bytes);
  Napi::FunctionReference tensor_class, model_class, pass_class;
  // Called with an array of texts.
  Napi::FunctionReference warning_listener;

  // On the JavaScript thread.
  void announce(const std::vector<std::string>& warnings) const;

 private:
  static void on_environment_end(void* self);
  void end_job(uint32_t ticket);

  Napi::Env env_;
  ExecutorPool executors_;
  Tickets tickets_;
  KeptObjects kept_;
  JavascriptErrors errors_;
  JavascriptThread javascript_;
  int64_t held_bytes_ = 0;  // by handles, of tensors on the CPU
};

// The value, which gets the warnings as `warnings` where there are any and it is an object.
Napi::Value with_warnings(const Napi::Value& value, const std::vector<std::string>& warnings);

template <typename Result>
Napi::Promise Environment::submit(Executor& executor, uint32_t ticket, std::function<Result(const CancelFlag&)> work,
                                  std::function<Napi::Value(Napi::Env, Result&)> finish, WarningsGo warnings_go) {
  struct Outcome {
    std::optional<Result> result;
    std::exception_ptr error;
    std::vector<std::string> warnings;
  };
  const auto deferred = Napi::Promise::Deferred::New(env_);
  const auto cancel = tickets_.issue(ticket);
  javascript_.job_began();
  auto self = shared_from_this();
  auto run = [self, ticket, deferred, cancel, work = std::move(work), finish = std::move(finish),
              warnings_go]() mutable {
    auto outcome = std::make_shared<Outcome>();
    CollectedWarnings warnings;
    try {
      cancel->check();
      outcome->result = work(*cancel);
    } catch (...) {
      outcome->error = std::current_exception();
    }
    work = nullptr;  // what it held is freed before the caller learns of the end
    outcome->warnings = warnings.take();
    self->javascript_.post([self, ticket, deferred, finish, warnings_go, outcome](Napi::Env env) {
      self->end_job(ticket);
      const auto& warnings = outcome->warnings;
      if (outcome->error) return deferred.Reject(with_warnings(self->errors_.to_javascript(outcome->error), warnings));
      try {
        const auto result = finish(env, *outcome->result);
        if (warnings_go == WarningsGo::to_listener) self->announce(warnings);
        deferred.Resolve(warnings_go == WarningsGo::to_listener ? result : with_warnings(result, warnings));
      } catch (const Napi::Error& error) {
        deferred.Reject(error.Value());
      } catch (...) {
        deferred.Reject(self->errors_.to_javascript(std::current_exception()));
      }
    });
  };
  executor.submit({std::move(run), cancel});
  return deferred.Promise();
}

}  // namespace gradcam::node
