#include "core/base/error.h"
#include "rule.h"

namespace gradcam {

namespace {

Tensor bound_like(const Tensor& bound, const Tensor& x, const char* name) {
  try {
    return bound.to(x.options()).expand(x.sizes());
  } catch (const c10::Error&) {
    throw Error("ERR_SHAPE", std::string("`") + name + "` has the shape " + shape_text(bound) +
                                 ", which cannot be expanded to the input of the first layer, " + shape_text(x) + ".");
  }
}

}  // namespace

// R_i = sum_j (x_i w_ij - low_i w_ij+ - high_i w_ij-) / z_j R_j, z_j the sum of these: Montavon et al. 2017,
// "Explaining Nonlinear Classification Decisions with Deep Taylor Decomposition", doi:10.1016/j.patcog.2016.11.008. For
// the layer that sees pixels, whose least and greatest values are low and high.
Tensor z_box_rule(const WeightedLayer& layer, const Tensor& relevance, const Rule& rule) {
  const auto low = bound_like(rule.low, layer.x, "low"), high = bound_like(rule.high, layer.x, "high");
  const auto up = layer.weight.clamp_min(0), down = layer.weight.clamp_max(0);
  const auto z = layer.apply(layer.x, layer.weight) - layer.apply(low, up) - layer.apply(high, down);
  const auto by_z = relevance / stabilized(z, rule.epsilon);
  return layer.x * layer.transpose(by_z, layer.weight) - low * layer.transpose(by_z, up) -
         high * layer.transpose(by_z, down);
}

}  // namespace gradcam
