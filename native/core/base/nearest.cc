#include "nearest.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace gradcam {

namespace {

size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::vector<std::string> nearest_names(const std::string& wanted, const std::vector<std::string>& names, size_t count) {
  std::vector<std::pair<size_t, std::string>> ranked;
  for (const auto& name : names) {
    // A path that ends in what was asked for ("conv2" for "features.layer1.conv2") is what was meant more often than
    // not.
    const bool is_tail = name.size() > wanted.size() && !wanted.empty() &&
                         name.compare(name.size() - wanted.size(), wanted.size(), wanted) == 0;
    ranked.emplace_back(is_tail ? 1 : 2 + edit_distance(wanted, name), name);
  }
  count = std::min(count, ranked.size());
  std::partial_sort(ranked.begin(), ranked.begin() + static_cast<long>(count), ranked.end());
  std::vector<std::string> nearest;
  for (size_t i = 0; i < count; ++i) nearest.push_back(ranked[i].second);
  return nearest;
}

}  // namespace gradcam
