#include "concepts.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace gradcam {
namespace {

// NaN is 0.
double share_of_one(double value) { return value > 0 ? std::min(value, 1.0) : 0; }

double greatest_value(const float* values, int64_t count) {
  float largest = 0;
  for (int64_t i = 0; i < count; ++i) largest = std::max(largest, values[i]);
  return largest;
}

}  // namespace

at::Tensor paint_concepts(const at::Tensor& image, const at::Tensor& maps, const ConceptColors& how,
                          const CancelFlag& cancel) {
  const auto height = image.size(2), width = image.size(3), area = height * width, count = maps.size(1);
  const auto pixels = image.detach().to(at::kCPU, at::kFloat).contiguous();
  const auto large =
      at::upsample_bilinear2d(maps.detach().to(at::kCPU, at::kFloat).contiguous(), {height, width}, false).contiguous();
  cancel.check();
  const auto* values = large.const_data_ptr<float>();
  auto most = how.most;
  if (most.empty())
    for (int64_t k = 0; k < count; ++k) most.push_back(greatest_value(values + k * area, area));
  auto result = at::empty({height, width, 3}, at::kByte);
  const auto* before = pixels.const_data_ptr<float>();
  auto* painted = result.mutable_data_ptr<uint8_t>();
  for (int64_t at = 0; at < area; ++at) {
    int64_t best = 0;
    double share = 0;
    for (int64_t k = 0; k < count; ++k) {
      const auto value = share_of_one(values[k * area + at] / most[k]);
      if (value > share) std::tie(best, share) = std::pair(k, value);
    }
    const auto weight = how.alpha * share;
    for (int64_t channel = 0; channel < 3; ++channel) {
      const auto level = share_of_one(before[channel * area + at]) * 255;
      const auto blended = (1 - weight) * level + weight * how.colors[3 * best + channel];
      painted[3 * at + channel] = static_cast<uint8_t>(blended + 0.5);
    }
  }
  return result;
}

}  // namespace gradcam
