#include "copies.h"

#include <algorithm>

#include "core/base/error.h"

namespace gradcam {

std::vector<int64_t> images_of(const Copies& copies) {
  std::vector<int64_t> images;
  for (const auto& copy : copies) images.push_back(copy.image);
  return images;
}

CopyPlan::CopyPlan(const Tensor& changes) {
  const auto flags = changes.to(at::kCPU).contiguous();
  const auto* changed = flags.const_data_ptr<bool>();
  for (int64_t image = 0; image < flags.size(0); ++image) {
    unchanged.push_back(static_cast<int64_t>(copies.size()));
    copies.push_back({image});
    for (int64_t channel = 0; channel < flags.size(1); ++channel) {
      if (!*changed++) {
        by_channel.push_back(unchanged.back());
        continue;
      }
      by_channel.push_back(static_cast<int64_t>(copies.size()));
      copies.push_back({image, channel});
    }
  }
}

Tensor CopyScorer::scores(const Copies& copies, const RunCopies& run) const {
  std::vector<Tensor> parts;
  auto most = chunk;
  if (cancel) cancel->runs().expect(static_cast<int64_t>(copies.size()) + later);
  for (auto from = copies.begin(); from != copies.end();) {
    if (cancel) cancel->check();
    const Copies some(from, from + std::min<int64_t>(most, copies.end() - from));
    const auto count = static_cast<int64_t>(some.size());
    try {
      parts.push_back(scores_of_chunk(some, run));
      from += count;
      if (cancel) cancel->runs().add(count);
    } catch (const std::exception& e) {
      if (count == 1 || !may_run_in_parts(e)) throw;
      most = (count + 1) / 2;
    }
  }
  return at::cat(parts);
}

Tensor CopyScorer::scores_of_chunk(const Copies& chosen, const RunCopies& run) const {
  const auto count = static_cast<int64_t>(chosen.size());
  auto some = chosen;
  some.resize(static_cast<size_t>(std::max(count, least)), chosen.back());
  const auto output = run(some);
  const auto rows = static_cast<int64_t>(some.size());
  const auto scores = resolve_target(output, target_of_copies(target, resolved, images_of(some)), rows).scores;
  return scores.narrow(0, 0, count).to(at::kDouble);
}

}  // namespace gradcam
