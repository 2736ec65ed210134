#pragma once
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "split.h"

namespace gradcam {

// All split models of one model, by what they offer. Whoever runs one holds it for as long as that takes: one that the
// cache has let go lives on until then. The one that was not asked for the longest goes first, when there are more than
// kMaxSplits or when they hold more bytes than the limit; the one that was asked for last always stays.
class SplitCache {
 public:
  static constexpr size_t kMaxSplits = 32;
  static constexpr size_t kMaxRefusals = 256;

  // Unless another limit is asked for: this, or four times the model's own weights where that is more.
  static constexpr size_t kMaxBytes = size_t{1} << 30;

  explicit SplitCache(size_t max_bytes) : max_bytes_(max_bytes) {}

  // The split of `plan`, which `build` makes if the cache does not have it. Throws CannotSplit, at once where an
  // earlier call did and that is remembered. Where memory runs out, the cache drops its splits and builds again.
  std::shared_ptr<SplitModel> find_or_build(const SplitPlan& plan,
                                            const std::function<std::shared_ptr<SplitModel>()>& build);

  // The split of this plan has turned out not to run.
  void give_up(const SplitPlan& plan, const std::string& reason);

  // Frees all others; false if there are none. For runs that are short of memory.
  bool keep_only(const SplitPlan& plan);

  struct Counts {
    size_t kept = 0;
    size_t bytes = 0;  // that those hold
    size_t built = 0;  // how many were ever built
  };
  Counts counts() const;
  size_t max_bytes() const { return max_bytes_; }

 private:
  template <typename Value>
  struct Entry {
    std::string key;
    Value value;
  };

  std::shared_ptr<SplitModel> build_making_room(const SplitPlan& plan,
                                                const std::function<std::shared_ptr<SplitModel>()>& build);
  void trim();

  mutable std::mutex mutex_;  // for counts, which are asked for from any thread
  const size_t max_bytes_;
  size_t bytes_ = 0, built_ = 0;
  // Asked for last comes first.
  std::list<Entry<std::shared_ptr<SplitModel>>> splits_;
  std::list<Entry<std::string>> refusals_;
};

}  // namespace gradcam
