#include "regions.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

namespace gradcam {
namespace {

using RegionPixels = std::vector<int32_t>;

struct PlaneSize {
  int64_t height, width;

  int64_t pixels() const { return height * width; }
};

// The pixels of each label, in the order of the labels.
std::vector<RegionPixels> pixels_of_labels(const int64_t* labels, int64_t count) {
  std::map<int64_t, RegionPixels> found;
  for (int64_t pixel = 0; pixel < count; ++pixel) found[labels[pixel]].push_back(static_cast<int32_t>(pixel));
  std::vector<RegionPixels> regions;
  regions.reserve(found.size());
  for (auto& [_, pixels] : found) regions.push_back(std::move(pixels));
  return regions;
}

// Adds to a region what is within the radius of one of its pixels.
void dilate_region(RegionPixels& region, int64_t radius, PlaneSize size, std::vector<int32_t>& stamps, int32_t stamp) {
  for (const auto pixel : region) stamps[pixel] = stamp;
  // On the way from a pixel inside to one outside, step by step nearer, comes one on the border: those are enough.
  std::vector<int32_t> border;
  for (const auto pixel : region) {
    const auto x = pixel % size.width;
    const auto is_outside = [&](bool there, int64_t other) { return there && stamps[other] != stamp; };
    if (is_outside(x > 0, pixel - 1) || is_outside(x < size.width - 1, pixel + 1) ||
        is_outside(pixel >= size.width, pixel - size.width) ||
        is_outside(pixel < size.pixels() - size.width, pixel + size.width))
      border.push_back(pixel);
  }
  for (const auto at : border) {
    const auto y = at / size.width, x = at % size.width;
    for (auto row = std::max<int64_t>(0, y - radius); row <= std::min(size.height - 1, y + radius); ++row)
      for (auto column = std::max<int64_t>(0, x - radius); column <= std::min(size.width - 1, x + radius); ++column) {
        const auto pixel = row * size.width + column;
        const auto down = row - y, right = column - x;
        if (stamps[pixel] == stamp || down * down + right * right > radius * radius) continue;
        stamps[pixel] = stamp;
        region.push_back(static_cast<int32_t>(pixel));
      }
  }
}

// Which regions each pixel is in, one pixel after another.
class RegionsOfPixels {
 public:
  RegionsOfPixels(const std::vector<RegionPixels>& regions, int64_t pixels) : first_(pixels + 1) {
    for (const auto& region : regions)
      for (const auto pixel : region) ++first_[pixel + 1];
    for (size_t i = 1; i < first_.size(); ++i) first_[i] += first_[i - 1];
    regions_.resize(first_.back());
    auto next = first_;
    for (size_t i = 0; i < regions.size(); ++i)
      for (const auto pixel : regions[i]) regions_[next[pixel]++] = i;
  }

  template <typename Fn>
  void each(int64_t pixel, Fn&& fn) const {
    for (auto i = first_[pixel]; i < first_[pixel + 1]; ++i) fn(regions_[i]);
  }

 private:
  std::vector<size_t> first_, regions_;
};

// What a region would still add.
struct RegionAddition {
  double sum = 0;
  int64_t pixels = 0;
  bool chosen = false;

  double gain() const { return sum / static_cast<double>(pixels); }
};

// The region that adds the most by area, the first of equal ones; -1 where none adds enough.
int64_t best_region(const std::vector<RegionAddition>& additions, double least) {
  int64_t best = -1;
  for (size_t i = 0; i < additions.size(); ++i) {
    const auto& one = additions[i];
    if (one.chosen || one.pixels == 0 || static_cast<double>(one.pixels) < least) continue;
    if (best < 0 || one.gain() > additions[best].gain()) best = static_cast<int64_t>(i);
  }
  return best;
}

void choose_regions(const double* values, const std::vector<RegionPixels>& regions, PlaneSize size, double least,
                    double* result, const CancelFlag& cancel) {
  const RegionsOfPixels covering(regions, size.pixels());
  std::vector<RegionAddition> additions(regions.size());
  for (size_t i = 0; i < regions.size(); ++i) {
    for (const auto pixel : regions[i]) additions[i].sum += values[pixel];
    additions[i].pixels = static_cast<int64_t>(regions[i].size());
  }
  std::vector<bool> covered(size.pixels());
  for (auto best = best_region(additions, least); best >= 0; best = best_region(additions, least)) {
    cancel.check();
    const auto gain = additions[best].gain();
    additions[best].chosen = true;
    for (const auto pixel : regions[best]) {
      if (covered[pixel]) continue;
      covered[pixel] = true;
      result[pixel] = gain;
      covering.each(pixel, [&](size_t region) {
        additions[region].sum -= values[pixel];
        --additions[region].pixels;
      });
    }
  }
  RegionAddition rest;
  for (int64_t pixel = 0; pixel < size.pixels(); ++pixel)
    if (!covered[pixel]) {
      rest.sum += values[pixel];
      ++rest.pixels;
    }
  for (int64_t pixel = 0; pixel < size.pixels(); ++pixel)
    if (!covered[pixel]) result[pixel] = rest.gain();
}

}  // namespace

at::Tensor region_gains(const at::Tensor& values, const at::Tensor& labels, const RegionOptions& options,
                        const CancelFlag& cancel) {
  const auto attribution = values.detach().to(at::kCPU, at::kDouble).contiguous();
  const auto numbers = labels.to(at::kCPU, at::kLong).contiguous();
  auto result = at::empty_like(attribution);
  const PlaneSize size{attribution.size(2), attribution.size(3)};
  std::vector<RegionPixels> regions;
  for (int64_t n = 0; n < attribution.size(0); ++n) {
    // Images that share their labels share the regions of the first.
    if (n < numbers.size(0)) {
      regions.clear();
      for (int64_t s = 0; s < numbers.size(1); ++s)
        for (auto& region : pixels_of_labels(numbers[n][s].const_data_ptr<int64_t>(), size.pixels()))
          regions.push_back(std::move(region));
      std::vector<int32_t> stamps(size.pixels(), -1);
      if (options.dilation > 0)
        for (size_t i = 0; i < regions.size(); ++i) {
          cancel.check();
          dilate_region(regions[i], options.dilation, size, stamps, static_cast<int32_t>(i));
        }
    }
    choose_regions(attribution[n].const_data_ptr<double>(), regions, size, options.least,
                   result[n].mutable_data_ptr<double>(), cancel);
  }
  return result;
}

}  // namespace gradcam
