#include "caching_allocator.h"

#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cstdlib>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>

#include "core/base/error.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace gradcam {

namespace {

// Below, malloc keeps memory by itself.
constexpr size_t kSmallest = 128 << 10;

thread_local int cached_scopes = 0;

class CachingAllocator final : public c10::Allocator {
 public:
  explicit CachingAllocator(c10::Allocator& upstream) : upstream_(upstream) {}

  c10::DataPtr allocate(size_t bytes) override {
    if (bytes < kSmallest || cached_scopes == 0) return upstream_.allocate(bytes);
    auto* block = take_idle(bytes);
    if (!block) block = take_new(bytes);
    return {block, block, give_back, at::Device(at::kCPU)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return give_back; }

  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }

  void limit(size_t bytes) {
    {
      std::lock_guard lock(mutex_);
      state_.limit = bytes;
    }
    release_idle();
  }

  TensorMemory state() {
    std::lock_guard lock(mutex_);
    return state_;
  }

  void release_idle() {
    std::list<Idle> released;
    {
      std::lock_guard lock(mutex_);
      released.swap(idle_);
      by_size_.clear();
      state_.idle = 0;
      state_.most_live = state_.live;
    }
    free_all(released);
  }

 private:
  struct Idle {
    void* block;
    size_t bytes;
  };

  void* take_idle(size_t bytes) {
    std::lock_guard lock(mutex_);
    const auto found = by_size_.lower_bound(bytes);
    // A block that is much too large is left for a tensor that needs all of it.
    if (found == by_size_.end() || found->first > bytes + bytes / 4) return nullptr;
    const auto idle = *found->second;
    idle_.erase(found->second);
    by_size_.erase(found);
    state_.idle -= idle.bytes;
    add_live(idle.bytes);
    live_.emplace(idle.block, idle.bytes);
    return idle.block;
  }

  void* take_new(size_t bytes) {
    if (!reserve(bytes, /*beside_idle=*/true)) {
      release_idle();
      if (!reserve(bytes, /*beside_idle=*/false)) refuse(bytes);
    }
    void* block = nullptr;
    try {
      block = allocate_upstream(bytes);
    } catch (...) {
      std::lock_guard lock(mutex_);
      state_.live -= bytes;
      throw;
    }
    std::lock_guard lock(mutex_);
    live_.emplace(block, bytes);
    return block;
  }

  void* allocate_upstream(size_t bytes) {
    try {
      return upstream_.raw_allocate(bytes);
    } catch (const c10::Error&) {
      release_idle();
      return upstream_.raw_allocate(bytes);
    }
  }

  // Counts the bytes as live, unless that would exceed the limit.
  bool reserve(size_t bytes, bool beside_idle) {
    std::lock_guard lock(mutex_);
    const size_t held = state_.live + (beside_idle ? state_.idle : 0);
    if (held > state_.limit || bytes > state_.limit - held) return false;
    add_live(bytes);
    return true;
  }

  [[noreturn]] void refuse(size_t bytes) {
    const auto [live, idle, most_live, limit] = state();
    C10_THROW_ERROR(OutOfMemoryError, "out of memory: a tensor of " + std::to_string(bytes) + " bytes beside the " +
                                          std::to_string(live) + " in use would exceed the limit of " +
                                          std::to_string(limit) + " that was set.");
  }

  void add_live(size_t bytes) {
    state_.live += bytes;
    state_.most_live = std::max(state_.most_live, state_.live);
  }

  static void give_back(void* block);

  // A block that it does not know came from upstream.
  void keep(void* block) {
    std::list<Idle> released;
    {
      std::lock_guard lock(mutex_);
      const auto found = live_.find(block);
      if (found == live_.end()) {
        released.push_back({block, 0});
      } else {
        const size_t bytes = found->second;
        live_.erase(found);
        state_.live -= bytes;
        state_.idle += bytes;
        idle_.push_front({block, bytes});
        by_size_.emplace(bytes, idle_.begin());
        // Runs of one kind need no more than this; what other kinds left is freed, the longest unused first.
        while (state_.idle > state_.most_live) released.splice(released.end(), idle_, forget_oldest());
      }
    }
    free_all(released);
  }

  std::list<Idle>::iterator forget_oldest() {
    const auto oldest = std::prev(idle_.end());
    auto [entry, end] = by_size_.equal_range(oldest->bytes);
    by_size_.erase(std::find_if(entry, end, [&](const auto& pair) { return pair.second == oldest; }));
    state_.idle -= oldest->bytes;
    return oldest;
  }

  void free_all(const std::list<Idle>& blocks) {
    for (const auto& idle : blocks) upstream_.raw_deallocate(idle.block);
  }

  c10::Allocator& upstream_;
  std::mutex mutex_;
  std::unordered_map<void*, size_t> live_;
  std::list<Idle> idle_;  // last given back first
  std::multimap<size_t, std::list<Idle>::iterator> by_size_;
  TensorMemory state_;
};

// Never destroyed: tensors may outlive the environment that loaded the addon.
CachingAllocator& cache() {
  static auto* const only = new CachingAllocator(*c10::GetCPUAllocator());
  return *only;
}

void CachingAllocator::give_back(void* block) { cache().keep(block); }

bool is_installed() { return c10::GetCPUAllocator() == &cache(); }

bool is_wanted() {
  const auto* choice = std::getenv("GRADCAM_ALLOCATOR");
  return !choice || std::string(choice) != "libtorch";
}

// Has glibc keep what small blocks leave at the end of a thread's heap.
//
// Blocks of less than kSmallest are malloc's. When the activations of a run are freed, glibc gives the end of the
// thread's heap back to the system where it is larger than a threshold, 128 KiB at first, and requests it again in the
// next run: some 200 page faults for each Grad-CAM of densenet121. glibc raises the threshold by itself, to twice the
// size of the largest block of mmap that was freed, up to 64 MiB; whether one was is chance. Freeing one settles it.
// Unlike mallopt that leaves the thresholds adjustable, as they are in any program that has freed such a block.
void keep_ends_of_heaps() {
#ifdef __GLIBC__
  constexpr size_t kBlock = 2 << 20;           // twice this may stay idle in the heap of each thread
  void* volatile block = std::malloc(kBlock);  // volatile: else both calls may be left out
  std::free(block);
#endif
}

}  // namespace

void install_caching_allocator() {
  static std::once_flag once;
  std::call_once(once, [] {
    auto& allocator = cache();  // remembers the allocator that it replaces
    if (!is_wanted()) return;
    c10::SetCPUAllocator(&allocator);
    keep_ends_of_heaps();
  });
}

CachedMemory::CachedMemory() { ++cached_scopes; }
CachedMemory::~CachedMemory() { --cached_scopes; }

TensorMemory tensor_memory() { return cache().state(); }

void limit_tensor_memory(size_t bytes) {
  if (!is_installed())
    throw Error("ERR_INVALID_ARGUMENT",
                "Tensor memory cannot be limited while another allocator than the addon's is in use. Unset "
                "GRADCAM_ALLOCATOR.");
  cache().limit(bytes);
}

void release_idle_tensor_memory() {
  cache().release_idle();
#ifdef __GLIBC__
  malloc_trim(0);  // blocks too small to be kept here: it frees them at the end of a thread's heap alone
#endif
}

}  // namespace gradcam
