#include "executor_pool.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "core/memory/caching_allocator.h"

namespace gradcam::node {

namespace {

// OpenMP keeps the number for each calling thread. LibTorch also keeps the last number that was set, for threads that
// start later; that one stays `environment_threads`. The first read on a thread overwrites its number with the one of
// the process, in LibTorch's code and once more in ours: so it is read before it is set.
void set_threads_here(int threads, int environment_threads) {
  at::get_num_threads();
  at::internal::lazy_init_num_threads();
  at::set_num_threads(threads);
  if (threads != environment_threads)
    std::thread([environment_threads] { at::set_num_threads(environment_threads); }).join();
}

// To be submitted to an executor: all that its thread allocates from then on comes from the cache.
void use_cached_memory_here() { static thread_local const CachedMemory cached; }

void set_up(Executor& executor, int threads, int environment_threads) {
  executor.submit({[threads, environment_threads] {
                     use_cached_memory_here();
                     set_threads_here(threads, environment_threads);
                   },
                   nullptr});
}

// LibTorch's number for a thread that was not given one.
int default_threads() {
  int threads = 1;
  std::thread([&] { threads = at::get_num_threads(); }).join();
  return threads;
}

}  // namespace

ExecutorPool::ExecutorPool() : threads_(default_threads()) { set_threads_here(1, threads_); }

std::shared_ptr<Executor> ExecutorPool::take(int threads) {
  auto found =
      std::find_if(all_.begin(), all_.end(), [](const Owned& owned) { return owned.executor.use_count() == 1; });
  if (found == all_.end()) found = all_.insert(found, {std::make_shared<Executor>(), 0});
  found->threads = threads;
  if (stopped_) found->executor->stop();
  set_up(*found->executor, threads ? threads : threads_, threads_);
  return found->executor;
}

Executor& ExecutorPool::operators() {
  if (!operators_) operators_ = take(1);
  return *operators_;
}

Executor& ExecutorPool::images() {
  if (!images_) images_ = take(1);
  return *images_;
}

void ExecutorPool::set_threads(int threads) {
  threads_ = threads;
  set_threads_here(1, threads);
  for (auto& owned : all_)
    if (!owned.threads) set_up(*owned.executor, threads, threads);
}

void ExecutorPool::stop() {
  stopped_ = true;
  for (auto& owned : all_) owned.executor->stop();
  const auto until = std::chrono::steady_clock::now() + Executor::kLongestWait;
  for (auto& owned : all_) owned.executor->wait_for_end(until);
}

}  // namespace gradcam::node
