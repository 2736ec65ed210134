#pragma once
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "core/base/cancel.h"

namespace gradcam::node {

// The flags by which JavaScript cancels jobs, by the numbers that it gave them. Used on the JavaScript thread alone.
class Tickets {
 public:
  // A flag for a new job; 0 is not a ticket, for a job that cannot be cancelled.
  CancelFlagPtr issue(uint32_t ticket) {
    auto flag = std::make_shared<CancelFlag>();
    if (ticket) flags_[ticket] = flag;
    return flag;
  }
  void cancel(uint32_t ticket) {
    if (const auto found = flags_.find(ticket); found != flags_.end()) found->second->cancel();
  }
  // The runs of a job that counts them; null for another, and for one that has ended.
  const RunCount* runs(uint32_t ticket) const {
    const auto found = flags_.find(ticket);
    return found != flags_.end() && found->second->runs().total() > 0 ? &found->second->runs() : nullptr;
  }
  void job_ended(uint32_t ticket) { flags_.erase(ticket); }

 private:
  std::unordered_map<uint32_t, CancelFlagPtr> flags_;
};

}  // namespace gradcam::node
