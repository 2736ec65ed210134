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
  return mean_scores(copies, 1, [&](const Copies& some) { return [&run, some](size_t) { return run(some); }; });
}

Tensor CopyScorer::mean_scores(const Copies& copies, size_t versions,
                               const std::function<RunVersion(const Copies&)>& prepare) const {
  std::vector<Tensor> parts;
  auto most = chunk;
  const auto times = static_cast<int64_t>(versions);
  if (cancel) cancel->runs().expect(static_cast<int64_t>(copies.size()) * times + later);
  for (auto from = copies.begin(); from != copies.end();) {
    const Copies some(from, from + std::min<int64_t>(most, copies.end() - from));
    const auto count = static_cast<int64_t>(some.size());
    try {
      parts.push_back(mean_of_chunk(some, versions, prepare));
      from += count;
    } catch (const std::exception& e) {
      if (count == 1 || !may_run_in_parts(e)) throw;
      most = (count + 1) / 2;
      // Some versions of the chunk may have run, and run again.
      if (cancel) cancel->runs().expect((copies.end() - from) * times + later);
    }
  }
  return at::cat(parts);
}

Tensor CopyScorer::mean_of_chunk(const Copies& chosen, size_t versions,
                                 const std::function<RunVersion(const Copies&)>& prepare) const {
  const auto count = static_cast<int64_t>(chosen.size());
  auto some = chosen;
  some.resize(static_cast<size_t>(std::max(count, least)), chosen.back());
  const auto rows = static_cast<int64_t>(some.size());
  const auto target_of_some = target_of_copies(target, resolved, images_of(some));
  const auto run = prepare(some);
  Tensor sum;
  for (size_t version = 0; version < versions; ++version) {
    if (cancel) cancel->check();
    const auto scores = resolve_target(run(version), target_of_some, rows).scores.narrow(0, 0, count).to(at::kDouble);
    sum = sum.defined() ? sum + scores : scores;
    if (cancel) cancel->runs().add(count);
  }
  return sum / static_cast<double>(versions);
}

}  // namespace gradcam
