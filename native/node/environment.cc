#include "environment.h"

#include <ATen/Parallel.h>

#include "core/base/error.h"

namespace gradcam::node {

std::shared_ptr<Environment> Environment::create(Napi::Env env) {
  auto environment = std::make_shared<Environment>(env);
  env.SetInstanceData(new std::shared_ptr<Environment>(environment));
  return environment;
}

Environment& Environment::of(Napi::Env env) { return **env.GetInstanceData<std::shared_ptr<Environment>>(); }

namespace {

// OpenMP keeps the number per calling thread; LibTorch also keeps the last one set, for threads that are yet to come,
// and that one stays `usual`. A thread's first look at its number gives it that one, in LibTorch's code and once more
// in ours: so it looks before it is told.
void set_threads_here(int threads, int usual) {
  at::get_num_threads();
  at::internal::lazy_init_num_threads();
  at::set_num_threads(threads);
  if (threads != usual) std::thread([usual] { at::set_num_threads(usual); }).join();
}

void set_threads_of(Executor& executor, int threads, int usual) {
  executor.submit({[threads, usual] { set_threads_here(threads, usual); }, nullptr});
}

// What LibTorch gives to a thread that nothing was said of.
int usual_threads() {
  int threads = 1;
  std::thread([&] { threads = at::get_num_threads(); }).join();
  return threads;
}

}  // namespace

Environment::Environment(Napi::Env env) : env_(env), threads_(usual_threads()) {
  set_threads_here(1, threads_);
  const auto name = Napi::String::New(env, "libtorch-gradcam");
  napi_status status =
      napi_create_threadsafe_function(env, nullptr, nullptr, name, /*max_queue_size=*/0,
                                      /*initial_thread_count=*/1, nullptr, nullptr, this, run_task, &javascript_);
  // Only while a job runs does this environment keep the process alive.
  if (status == napi_ok) status = napi_unref_threadsafe_function(env, javascript_);
  // Hooks run last in, first out: ours runs before Node takes the thread-safe function away.
  if (status == napi_ok) status = napi_add_env_cleanup_hook(env, on_environment_end, this);
  if (status != napi_ok) throw Napi::Error::New(env, "libtorch-gradcam: this Node.js environment is ending");
}

std::shared_ptr<Executor> Environment::take_executor(int threads) {
  auto found = std::find_if(executors_.begin(), executors_.end(),
                            [](const OwnedExecutor& owned) { return owned.executor.use_count() == 1; });
  if (found == executors_.end()) found = executors_.insert(found, {std::make_shared<Executor>(), 0});
  found->threads = threads;
  if (ended_) found->executor->stop();
  set_threads_of(*found->executor, threads ? threads : threads_, threads_);
  return found->executor;
}

Executor& Environment::executor() {
  if (!executor_) executor_ = take_executor(1);
  return *executor_;
}

Executor& Environment::image_executor() {
  if (!image_executor_) image_executor_ = take_executor(1);
  return *image_executor_;
}

void Environment::set_threads(int threads) {
  threads_ = threads;
  set_threads_here(1, threads);
  for (auto& owned : executors_)
    if (!owned.threads) set_threads_of(*owned.executor, threads, threads);
}

void Environment::stop() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  javascript_answered_.notify_all();
  ended_ = true;
  for (auto& owned : executors_) owned.executor->stop();
}

void Environment::on_environment_end(void* data) {
  auto* self = static_cast<Environment*>(data);
  self->stop();
  self->kept_.clear();
  self->thrown_by_hooks_.clear();
  self->error_class_.Reset();
  self->tensor_class.Reset();
  self->model_class.Reset();
  self->pass_class.Reset();
}

void Environment::run_task(napi_env env, napi_value, void*, void* data) {
  const std::unique_ptr<Task> task(static_cast<Task*>(data));
  if (!env) return;  // without an environment there is nobody left to tell
  try {
    (*task)(Napi::Env(env));
  } catch (const Napi::Error&) {
    // Node refuses to run JavaScript: this worker is being terminated.
  }
}

void Environment::post(Task task) {
  auto* data = new Task(std::move(task));
  if (napi_call_threadsafe_function(javascript_, data, napi_tsfn_nonblocking) != napi_ok) delete data;
}

void Environment::begin_job() {
  if (pending_jobs_++ == 0) napi_ref_threadsafe_function(env_, javascript_);
}

void Environment::end_job(uint32_t ticket) {
  if (ticket) tickets_.erase(ticket);
  drop_released();
  if (--pending_jobs_ > 0) return;
  napi_unref_threadsafe_function(env_, javascript_);
}

void Environment::cancel(uint32_t ticket) {
  if (const auto found = tickets_.find(ticket); found != tickets_.end()) found->second->cancel();
}

void Environment::call_javascript(const std::function<void(Napi::Env)>& call) {
  // The environment may end while the executor waits; then the task outlives `call` and must not touch it.
  struct Call {
    bool answered = false;
    uint32_t threw = 0;
  };
  const auto state = std::make_shared<Call>();
  post([this, state, &call](Napi::Env env) {
    {
      std::lock_guard lock(mutex_);
      if (ending_) return;
    }
    uint32_t threw = 0;
    try {
      call(env);
    } catch (const Napi::Error& error) {
      threw = keep_thrown(env, [&] { return error.Value(); });
    } catch (...) {
      threw = keep_thrown(env, [&] { return to_javascript(std::current_exception()); });
    }
    {
      std::lock_guard lock(mutex_);
      state->answered = true;
      state->threw = threw;
    }
    javascript_answered_.notify_all();
  });
  std::unique_lock lock(mutex_);
  javascript_answered_.wait(lock, [&] { return state->answered || ending_; });
  if (!state->answered) throw Cancelled();
  if (state->threw) throw HookThrew(state->threw);
}

uint32_t Environment::keep_thrown(Napi::Env env, const std::function<Napi::Value()>& thrown) {
  const auto id = next_thrown_++;
  try {
    auto holder = Napi::Array::New(env, 1);  // keeps any value alive, objects and primitives alike
    holder[uint32_t{0}] = thrown();
    thrown_by_hooks_[id] = Napi::Reference<Napi::Array>::New(holder, 1);
  } catch (const Napi::Error&) {
    // What ended the hook was the end of its worker, which is no value.
  }
  return id;
}

std::shared_ptr<const Environment::Kept> Environment::keep(const Napi::Object& object) {
  drop_released();
  const auto id = next_kept_++;
  kept_[id] = Napi::Persistent(object);
  return std::make_shared<const Kept>(shared_from_this(), id);
}

Napi::Function Environment::Kept::function() const { return environment_->kept_.at(id_).Value().As<Napi::Function>(); }

Environment::Kept::~Kept() {
  std::lock_guard lock(environment_->released_mutex_);
  environment_->released_.push_back(id_);
}

void Environment::drop_released() {
  std::lock_guard lock(released_mutex_);
  for (const auto id : released_) kept_.erase(id);
  released_.clear();
}

Napi::Error Environment::make_error(const std::string& code, const std::string& message) {
  const auto js_message = Napi::String::New(env_, message);
  if (error_class_.IsEmpty()) {
    auto error = Napi::Error::New(env_, message);
    error.Set("code", Napi::String::New(env_, code));
    return error;
  }
  return Napi::Error(env_, error_class_.New({Napi::String::New(env_, code), js_message}));
}

Napi::Value Environment::to_javascript(std::exception_ptr error) {
  try {
    std::rethrow_exception(error);
  } catch (const HookThrew& e) {
    const auto found = thrown_by_hooks_.find(e.thrown);
    if (found == thrown_by_hooks_.end()) return make_error("ERR_TORCH", e.what()).Value();
    const Napi::Value thrown = found->second.Value().Get(uint32_t{0});
    thrown_by_hooks_.erase(found);
    return thrown;
  } catch (const Error& e) {
    return make_error(e.code(), e.what()).Value();
  } catch (const Cancelled&) {
    return make_error("ERR_ABORTED", "The call was aborted.").Value();
  } catch (const Napi::Error& e) {
    return e.Value();
  } catch (const std::exception& e) {
    if (is_out_of_memory(e))
      return make_error("ERR_OUT_OF_MEMORY", "LibTorch ran out of memory: " + concise_message(e) +
                                                 " Use smaller batches or images, or dispose tensors earlier.")
          .Value();
    return make_error("ERR_TORCH", "LibTorch refused: " + concise_message(e)).Value();
  }
}

}  // namespace gradcam::node
