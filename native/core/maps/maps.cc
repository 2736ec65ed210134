#include "maps.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

#include "core/base/error.h"
#include "core/base/tensor_rounding.h"
#include "core/methods/principal.h"

namespace gradcam {

namespace {

std::string text_of(const Tensor& tensor) {
  std::ostringstream text;
  text << tensor.sizes();
  return text.str();
}

std::vector<int64_t> token_grid(const LayerShape& shape, int64_t tokens, const std::vector<int64_t>& input,
                                const std::string& path) {
  auto grid = shape.grid;
  if (grid.empty() && input.size() == 2 && input[1] > 0) {
    const auto rows = std::llround(
        std::sqrt(static_cast<double>(tokens) * static_cast<double>(input[0]) / static_cast<double>(input[1])));
    if (rows > 0) grid = {rows, tokens / rows};
  }
  int64_t positions = grid.empty() ? 0 : 1;
  for (const auto size : grid) positions *= size;
  if (positions != tokens || tokens < 1)
    throw Error("ERR_LAYER_OUTPUT",
                "Layer '" + path + "' has " + std::to_string(tokens) + " tokens after the first " +
                    std::to_string(shape.skip) +
                    ", which do not fill the given grid, or one with the aspect ratio of the "
                    "input.",
                Remedy{"Give their grid: { tokens: [rows, columns], skip }."});
  return grid;
}

Tensor resize(const Tensor& map, const std::vector<int64_t>& size, const std::string& path) {
  if (static_cast<int64_t>(size.size()) + 2 != map.dim())
    throw Error("ERR_LAYER_OUTPUT",
                "The map of layer '" + path + "', of shape " + text_of(map) +
                    ", cannot be resized to "
                    "the model's input, which has another number of spatial dimensions.",
                Remedy{"Where the model has several inputs, say by `input` which one holds the images."});
  return map.sizes().slice(2).equals(size) ? map : upsample_linear(map, size);
}

// Decompositions work in float64 on matrices of spatial positions by spatial positions: a few images at a time bound
// their memory.
Tensor in_slices(Tensor (*reduce)(const Tensor&), const Tensor& contribution) {
  constexpr int64_t kElements = 1 << 24;
  const int64_t positions = contribution[0][0].numel();
  const int64_t images = std::max<int64_t>(1, kElements / (positions * std::max(positions, contribution.size(1))));
  if (images >= contribution.size(0)) return reduce(contribution);
  std::vector<Tensor> maps;
  for (const auto& slice : contribution.split(images)) maps.push_back(reduce(slice));
  return at::cat(maps);
}

// Per image, whether its one value is not 0. A map of a single spatial position is one.
Tensor constant_over_space(const Tensor& map) {
  const auto [least, most] = at::aminmax(map.flatten(1), 1);
  return same_within_rounding(least, most, map.scalar_type()).logical_and(most.ne(0));
}

Tensor custom_shape(const Tensor& tensor, const LayerShape& shape, const std::string& path) {
  auto shaped = shape.custom(tensor);
  if (shaped.is_floating_point() && shaped.dim() >= 3 && shaped.numel() > 0) return shaped;
  throw Error("ERR_LAYER_OUTPUT",
              "The reshape function returned a tensor of shape " + text_of(shaped) + " for the output of layer '" +
                  path + "', of shape " + text_of(tensor) + ".",
              Remedy{"Return floating-point numbers, [N, C, h, w]."});
}

}  // namespace

// How far the proportions of a map may be from those of its input: small maps are rounded, and borders are cut off.
constexpr double kProportion = 1.3;

namespace {

bool is_in_proportion(int64_t rows, int64_t columns, const std::vector<int64_t>& input) {
  if (rows < 1 || columns < 1 || input[0] < 1 || input[1] < 1) return false;
  const double ratio = static_cast<double>(rows) * static_cast<double>(input[1]) /
                       (static_cast<double>(columns) * static_cast<double>(input[0]));
  return ratio < kProportion && ratio > 1 / kProportion;
}

// "[0, 4, 1, 2, 3]": the permutation that moves the last dimension to the second position, or that changes nothing.
std::string permutation_text(int64_t dims, bool last_second) {
  std::string text = last_second ? "[0, " + std::to_string(dims - 1) : "[0";
  for (int64_t dim = 1; dim < dims - (last_second ? 1 : 0); ++dim) text += ", " + std::to_string(dim);
  return text + "]";
}

void require_channels_first(const Tensor& tensor, const std::vector<int64_t>& input_size, const NamedLayer& layer) {
  const auto features = features_of(layer.id);
  const auto returned = "Layer '" + layer.path + "' returned a tensor of shape " + text_of(tensor);
  const auto layout = layout_of(tensor.sizes(), input_size, features);
  if (layout == Layout::channels_first) return;
  const std::string by_parameters = ", whose last dimension is its features, by the layer's parameters.";
  if (input_size.size() != 2)
    throw Error(
        "ERR_LAYER_OUTPUT", returned + by_parameters,
        Remedy{"Say by `reshape` what it is: { permute: " + permutation_text(tensor.dim(), true) +
               " } where that is so, or { permute: " + permutation_text(tensor.dim(), false) + " } for [N, C, ...]."});
  if (layout == Layout::tokens)
    throw Error("ERR_LAYER_OUTPUT", returned + ", which has no rows and columns, although the input has.",
                Remedy{"Say by `reshape` what it is: 'vit' for tokens [N, 1 + h w, C], { tokens: 'input', skip: 0 } "
                       "for tokens without a class token, or { permute: [0, 1, 2] } for [N, C, length]."});
  const bool by_shape = !features_come_last(features, tensor.sizes());
  throw Error(
      "ERR_LAYER_OUTPUT",
      returned + (by_shape ? ", which has the proportions of the input where [N, h, w, C] has them." : by_parameters),
      Remedy{"Say by `reshape` what it is: 'swin' for [N, h, w, C], or { permute: [0, 1, 2, 3] } for [N, C, h, w]."});
}

}  // namespace

Layout layout_of(at::IntArrayRef shape, const std::vector<int64_t>& input_size, const FeatureSizes& features) {
  if (features_come_last(features, shape)) return shape.size() == 3 ? Layout::tokens : Layout::channels_last;
  if (input_size.size() != 2) return Layout::channels_first;
  if (shape.size() == 3) return Layout::tokens;
  if (features_come_second(features, shape)) return Layout::channels_first;
  const bool last = shape.size() == 4 && shape[1] * shape[2] > 1 && is_in_proportion(shape[1], shape[2], input_size) &&
                    !is_in_proportion(shape[2], shape[3], input_size);
  return last ? Layout::channels_last : Layout::channels_first;
}

Tensor channels_first(const Tensor& tensor, const LayerShape& shape, const std::vector<int64_t>& input_size,
                      const NamedLayer& layer) {
  const auto& path = layer.path;
  if (shape.kind == LayerShape::Kind::custom) return custom_shape(tensor, shape, path);
  if (tensor.dim() < 3 || tensor.numel() == 0)
    throw Error("ERR_LAYER_OUTPUT",
                "Layer '" + path + "' returned a tensor of shape " + text_of(tensor) +
                    ", which has no spatial dimensions for a map.",
                Remedy{"Pick a layer whose "
                       "output is [N, C, h, w]."});
  if (shape.kind == LayerShape::Kind::tokens) {
    if (tensor.dim() != 3 || tensor.size(1) < shape.skip)
      throw Error("ERR_LAYER_OUTPUT",
                  "Layer '" + path + "' returned a tensor of shape " + text_of(tensor) + ", but tokens are [N, T, C].",
                  Remedy{"Pick a layer inside the transformer."});
    auto sizes = token_grid(shape, tensor.size(1) - shape.skip, input_size, path);
    sizes.insert(sizes.begin(), {tensor.size(0), tensor.size(2)});
    return tensor.slice(1, shape.skip).transpose(1, 2).reshape(sizes);
  }
  if (shape.kind == LayerShape::Kind::permute) {
    if (static_cast<int64_t>(shape.order.size()) != tensor.dim())
      throw Error("ERR_LAYER_OUTPUT", "Layer '" + path + "' returned a tensor of shape " + text_of(tensor) +
                                          ", but the permutation has " + std::to_string(shape.order.size()) +
                                          " dimensions.");
    return tensor.permute(shape.order);
  }
  require_channels_first(tensor, input_size, layer);
  return tensor;
}

LayerDims layer_dims(const LayerShape& shape) {
  switch (shape.kind) {
    case LayerShape::Kind::tokens:
      return {0, 2};
    case LayerShape::Kind::permute:
      return {shape.order.at(0), shape.order.at(1)};
    case LayerShape::Kind::custom:
    case LayerShape::Kind::channels_first:
      break;
  }
  return {0, 1};
}

Tensor upsample_linear(const Tensor& map, at::IntArrayRef size) {
  if (size.size() == 1) return at::upsample_linear1d(map, size, false);
  if (size.size() == 2) return at::upsample_bilinear2d(map, size, false);
  return at::upsample_trilinear3d(map, size, false);
}

Tensor at_least_float32(const Tensor& tensor) {
  return tensor.scalar_type() == at::kHalf || tensor.scalar_type() == at::kBFloat16 ? tensor.to(at::kFloat) : tensor;
}

std::vector<bool> to_flags(const Tensor& flags) {
  const auto near = flags.to(at::kCPU).contiguous();
  const bool* data = near.const_data_ptr<bool>();
  return std::vector<bool>(data, data + near.numel());
}

Tensor min_max(const Tensor& values, int64_t first, double epsilon) {
  std::vector<int64_t> inner;
  for (int64_t i = first; i < values.dim(); ++i) inner.push_back(i);
  const auto least = values.amin(inner, /*keepdim=*/true);
  const auto shifted = values - least;
  const auto range = shifted.amax(inner, /*keepdim=*/true);
  // What is one number but for rounding would become a map of rounding errors.
  const auto same = same_within_rounding(least, least + range, values.scalar_type());
  return shifted / (range + epsilon).masked_fill(same, std::numeric_limits<double>::infinity());
}

Needs MapPlan::needs() const {
  auto needs = Needs::activation;
  for (const auto* method : methods) needs = std::max(needs, method->needs);
  return needs;
}

bool MapPlan::reruns(Rerun what) const {
  return std::any_of(methods.begin(), methods.end(), [&](const auto* method) { return method->rerun == what; });
}

bool MapPlan::reruns_nothing() const {
  return std::all_of(methods.begin(), methods.end(), [](const auto* method) { return method->rerun == Rerun::none; });
}

bool MapPlan::averages_gradient() const {
  return std::any_of(methods.begin(), methods.end(), [](const auto* method) { return method->averages_gradient; });
}

Sampling MapPlan::sampling(const LayerMethod& method) const {
  const bool on_path =
      method.rerun == Rerun::path || method.rerun == Rerun::path_segments || method.rerun == Rerun::layer_path;
  return {(on_path ? steps : samples).value_or(method.sampling.count), sigma.value_or(method.sampling.sigma)};
}

LayerEvidence shaped_evidence(const MapPlan& plan, LayerEvidence evidence, const NamedLayer& layer,
                              const std::vector<int64_t>& input_size) {
  for (auto* tensor : {&evidence.activation, &evidence.gradient, &evidence.curvature, &evidence.noisy_gradient,
                       &evidence.noisy_square, &evidence.noisy_cube, &evidence.path_gradient, &evidence.conductance,
                       &evidence.baseline_activation, &evidence.layer_path_gradient, &evidence.rescaled_gradient})
    if (tensor->defined()) *tensor = at_least_float32(channels_first(*tensor, plan.shape, input_size, layer));
  if (evidence.gradient.defined() && evidence.gradient.sizes() != evidence.activation.sizes())
    throw Error("ERR_LAYER_OUTPUT",
                "The reshape function returned shape " + text_of(evidence.activation) +
                    " for the activation of layer '" + layer.path + "', but " + text_of(evidence.gradient) +
                    " for its gradient, which has the same shape. It must not depend on the values.");
  return evidence;
}

LayerMap layer_map(const MapPlan& plan, const LayerMethod& method, const LayerEvidence& evidence,
                   const std::string& path, const std::vector<int64_t>& input_size) {
  const auto contribution = method.contribution(evidence);
  auto map = method.reduce       ? in_slices(method.reduce, contribution)
             : plan.eigen_smooth ? in_slices(principal_of_evidence, contribution)
                                 : contribution.sum(1, /*keepdim=*/true);
  if (plan.relu) map = map.relu_();
  const auto constant = constant_over_space(map);
  if (plan.input_size) map = resize(min_max(map), input_size, path);
  return {map, plan.contributions ? contribution : Tensor(), constant, {}};
}

std::vector<MethodMap> finish_maps(const MapPlan& plan, const std::vector<LayerMap>& by_layer) {
  std::vector<Tensor> maps;
  for (const auto& one : by_layer) maps.push_back(one.map);
  if (plan.aggregate != Aggregate::each && !maps.empty()) {
    // A product is not one of maps in [0, 1] that upsampling made flatter: they are stretched again, as RefineCAM does.
    if (plan.aggregate == Aggregate::product)
      for (auto& map : maps) map = min_max(map);
    const auto stacked = at::stack(maps);
    maps = {plan.aggregate == Aggregate::mean  ? stacked.mean(0)
            : plan.aggregate == Aggregate::max ? stacked.amax(0)
                                               : stacked.prod(0)};
  }
  std::vector<MethodMap> finished;
  for (size_t i = 0; i < maps.size(); ++i) {
    const auto map = plan.input_size ? min_max(maps[i]) : maps[i];
    const bool each = plan.aggregate == Aggregate::each;
    const auto& layer = by_layer[i];
    auto constant = layer.constant;
    auto same_scores = layer.same_scores;
    if (!each)
      for (const auto& other : by_layer) {
        constant = constant.logical_and(other.constant);
        for (size_t n = 0; n < same_scores.size(); ++n)
          same_scores[n] = same_scores[n] && n < other.same_scores.size() && other.same_scores[n];
      }
    const auto flat = map.reshape({map.size(0), -1});
    // Together, since each of them waits for the device.
    const auto flags = at::stack({flat.eq(0).all(1), flat.isfinite().all(1).logical_not(), constant}).to(at::kCPU);
    finished.push_back({map, each ? layer.contribution : Tensor(), to_flags(flags[0]), to_flags(flags[1]),
                        to_flags(flags[2]), std::move(same_scores)});
  }
  return finished;
}

}  // namespace gradcam
