#include "split_cache.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/base/error.h"
#include "split_graph.h"

namespace gradcam {

namespace {

// The entry of `key`, moved to the front, or null.
template <typename Entry>
Entry* find_first(std::list<Entry>& entries, const std::string& key) {
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) { return entry.key == key; });
  if (found == entries.end()) return nullptr;
  entries.splice(entries.begin(), entries, found);
  return &entries.front();
}

}  // namespace

std::shared_ptr<SplitModel> SplitCache::find_or_build(const SplitPlan& plan,
                                                      const std::function<std::shared_ptr<SplitModel>()>& build) {
  const auto key = plan.key();
  {
    const std::lock_guard lock(mutex_);
    if (const auto* refusal = find_first(refusals_, key)) throw CannotSplit(refusal->value);
    if (const auto* known = find_first(splits_, key)) return known->value;
  }
  try {
    auto split = build_making_room(plan, build);
    const std::lock_guard lock(mutex_);
    splits_.push_front({key, split});
    bytes_ += split->own_bytes();
    ++built_;
    trim();
    return split;
  } catch (const CannotSplit& e) {
    give_up(plan, e.what());
    throw;
  }
}

std::shared_ptr<SplitModel> SplitCache::build_making_room(const SplitPlan& plan,
                                                          const std::function<std::shared_ptr<SplitModel>()>& build) {
  try {
    return build();
  } catch (const std::exception& e) {
    if (!is_out_of_memory(e) || !keep_only(plan)) throw;
  }
  return build();
}

void SplitCache::give_up(const SplitPlan& plan, const std::string& reason) {
  const auto key = plan.key();
  const std::lock_guard lock(mutex_);
  if (auto* known = find_first(splits_, key)) {
    bytes_ -= known->value->own_bytes();
    splits_.pop_front();
  }
  if (auto* refusal = find_first(refusals_, key)) {
    refusal->value = reason;
    return;
  }
  refusals_.push_front({key, reason});
  if (refusals_.size() > kMaxRefusals) refusals_.pop_back();
}

bool SplitCache::keep_only(const SplitPlan& plan) {
  const auto key = plan.key();
  const std::lock_guard lock(mutex_);
  const auto before = splits_.size();
  splits_.remove_if([&](const auto& entry) { return entry.key != key; });
  bytes_ = 0;
  for (const auto& entry : splits_) bytes_ += entry.value->own_bytes();
  return splits_.size() < before;
}

void SplitCache::trim() {
  while (splits_.size() > 1 && (splits_.size() > kMaxSplits || bytes_ > max_bytes_)) {
    bytes_ -= splits_.back().value->own_bytes();
    splits_.pop_back();
  }
}

SplitCache::Counts SplitCache::counts() const {
  const std::lock_guard lock(mutex_);
  return {splits_.size(), bytes_, built_};
}

}  // namespace gradcam
