#include "masks.h"

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>

#include "core/maps/maps.h"

namespace gradcam {

namespace {

Tensor upsample(const Tensor& channels, const std::vector<int64_t>& size) {
  if (size.size() == 1) return at::upsample_linear1d(channels, size, /*align_corners=*/true);
  if (size.size() == 2) return at::upsample_bilinear2d(channels, size, /*align_corners=*/true);
  return at::upsample_trilinear3d(channels, size, /*align_corners=*/true);
}

}  // namespace

std::vector<MaskVersion> mask_versions(Rerun rerun, const Sampling& sampling, uint64_t seed) {
  if (rerun != Rerun::faded_masks && rerun != Rerun::noisy_masks) return {{}};
  std::vector<MaskVersion> versions;
  for (int64_t i = 1; i <= sampling.count; ++i) {
    MaskVersion version;
    if (rerun == Rerun::faded_masks)
      version.scale = 0.5 * static_cast<double>(i * (i + 1)) / static_cast<double>(sampling.count);
    if (rerun == Rerun::noisy_masks) version.sigma = sampling.sigma;
    version.seed = seed + static_cast<uint64_t>(i - 1);
    versions.push_back(version);
  }
  return versions;
}

Tensor channel_masks(const Tensor& activation, const Copies& copies, const std::vector<int64_t>& size) {
  std::vector<int64_t> channels, none;
  for (size_t i = 0; i < copies.size(); ++i) {
    channels.push_back(std::max<int64_t>(copies[i].channel, 0));
    if (copies[i].channel == Copy::kNone) none.push_back(static_cast<int64_t>(i));
  }
  const auto on_device = [&](const std::vector<int64_t>& list) {
    return torch::tensor(list, at::kLong).to(activation.device());
  };
  const auto chosen = activation.index({on_device(images_of(copies)), on_device(channels)}).unsqueeze(1);
  auto masks = min_max(upsample(chosen.contiguous(), size), /*first=*/1, /*epsilon=*/1e-8);
  if (!none.empty()) masks.index_fill_(0, on_device(none), 0);
  return masks;
}

Tensor masks_of_version(const Tensor& masks, const MaskVersion& version) {
  const auto scaled = version.scale == 1 ? masks : masks * version.scale;
  if (version.sigma == 0) return scaled;
  // From the seed alone, on any device, and the same for all copies.
  const auto noise =
      at::randn(masks.sizes().slice(2), at::make_generator<at::CPUGeneratorImpl>(version.seed), at::kDouble);
  return scaled + noise.mul(version.sigma).to(masks.options());
}

}  // namespace gradcam
