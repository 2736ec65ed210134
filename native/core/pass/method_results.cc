#include "method_results.h"

#include <algorithm>

#include "core/base/tensor_rounding.h"

namespace gradcam {

namespace {

std::vector<bool> per_image(const Tensor& holds) { return to_flags(holds.flatten(1).all(1)); }

constexpr int64_t kFirstChannels = 4;

}  // namespace

std::vector<bool> cancelled_over_space(const Tensor& gradient, at::ScalarType computed) {
  if (computed != at::kFloat && computed != at::kDouble) return {};  // too coarse to tell
  const auto parts = gradient.flatten(2);
  const auto cancelled_in = [&](const Tensor& channels) {
    return channels.sum(2).abs().le(channels.abs().sum(2) * rounding_of(computed)).all(1);
  };
  // The first channels tell for most layers that it is not so: reading all of an early layer takes as long as its map.
  if (!cancelled_in(parts.narrow(1, 0, std::min(kFirstChannels, parts.size(1)))).any().item<bool>()) return {};
  const auto cancelled = cancelled_in(parts);
  return to_flags(cancelled.logical_and(parts.ne(0).flatten(1).any(1)));
}

std::vector<bool> same_scores(const Tensor& changed, const Tensor& scores, at::ScalarType computed) {
  if (!changed.defined() || scores.dim() != 1 || changed.size(0) != scores.size(0)) return {};
  const auto own = scores.to(changed.options()).unsqueeze(1);
  const auto [least, most] = at::aminmax(at::cat({changed, own}, 1), 1);
  return to_flags(same_within_rounding(least, most, computed));
}

void say_why_maps_are_empty(Explained& explained, int64_t images) {
  const auto any = [](const std::vector<bool>& flags) {
    return std::find(flags.begin(), flags.end(), true) != flags.end();
  };
  bool empty = false;
  for (const auto& by_layer : explained.maps)
    for (const auto& map : by_layer) empty |= any(map.all_zero) || any(map.non_finite);
  if (!empty) return;
  for (auto& layer : explained.layers) {
    if (layer.activation.dim() < 2 || layer.activation.size(0) != images) continue;
    layer.zero_activation = per_image(layer.activation.eq(0));
    layer.non_finite = per_image(layer.activation.isfinite());
    layer.non_finite.flip();
    if (layer.gradient.defined()) layer.zero_gradient = per_image(layer.gradient.eq(0));
  }
}

void rethrow_missing(const LayerMethod& method, const Explained& explained, const LayerReruns& reruns) {
  const auto rerun = reruns.missing.find(method.rerun);
  const auto missing = rerun != reruns.missing.end()      ? rerun->second
                       : method.needs == Needs::curvature ? explained.no_curvature
                       : method.needs == Needs::gradient  ? explained.no_gradient
                                                          : nullptr;
  if (missing) std::rethrow_exception(missing);
}

}  // namespace gradcam
