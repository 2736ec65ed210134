#include "layer.h"

#include <array>

#include "core/base/operator_calls.h"

namespace gradcam {

namespace {

// What a convolution is told besides its tensors.
struct Convolution {
  std::vector<int64_t> stride, padding, dilation;
  bool transposed = false;
  std::vector<int64_t> output_padding;
  int64_t groups = 1;
};

// Arguments of aten::convolution: input, weight, bias, stride, padding, dilation, transposed, output_padding, groups.
Convolution convolution_of(const RecordedCall& call) {
  const auto& given = call.arguments;
  return {given.at(3).toIntVector(), given.at(4).toIntVector(), given.at(5).toIntVector(),
          given.at(6).toBool(),      given.at(7).toIntVector(), given.at(8).toInt()};
}

bool is_convolution(const RecordedCall& call) {
  const auto name = operator_base_name(call.name);
  return name == "convolution" || name == "_convolution";
}

WeightedLayer convolution_layer(const RecordedCall& call) {
  const auto how = convolution_of(call);
  WeightedLayer layer{call.tensor(0), call.tensor(1), {}, {}, {}};
  const auto x = layer.x;
  layer.apply = [how](const Tensor& input, const Tensor& weight) {
    return at::convolution(input, weight, {}, how.stride, how.padding, how.dilation, how.transposed, how.output_padding,
                           how.groups);
  };
  layer.transpose = [how, x](const Tensor& z, const Tensor& weight) {
    return std::get<0>(at::convolution_backward(z, x, weight, at::nullopt, how.stride, how.padding, how.dilation,
                                                how.transposed, how.output_padding, how.groups, {true, false, false}));
  };
  if (const auto bias = call.tensor(2); bias.defined()) {
    std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
    shape.at(shape.size() - static_cast<size_t>(layer.weight.dim()) + 1) = bias.numel();
    layer.bias = bias.view(shape);
  }
  return layer;
}

WeightedLayer product_layer(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  return {x, weight, bias, [](const Tensor& input, const Tensor& w) { return input.mm(w); },
          [](const Tensor& z, const Tensor& w) { return z.mm(w.t()); }};
}

// [C] in the shape that multiplies dimension `dim` of a tensor of `dims`.
Tensor along(const Tensor& values, int64_t dim, int64_t dims) {
  std::vector<int64_t> shape(static_cast<size_t>(dims), 1);
  shape.at(static_cast<size_t>(dim)) = values.numel();
  return values.view(shape);
}

// Of x and z: the second, or the first of [C, ...] without a batch; of a matrix the last.
int64_t channel_dim(const WeightedLayer& layer, const RecordedCall& call) {
  return is_convolution(call) ? layer.x.dim() - layer.weight.dim() + 1 : 1;
}

// The dimension of the weight that counts channels of the output; none where groups divide it.
std::optional<int64_t> output_dim(const RecordedCall& call) {
  if (!is_convolution(call)) return 1;
  const auto how = convolution_of(call);
  if (!how.transposed) return 0;
  return how.groups == 1 ? std::optional<int64_t>(1) : std::nullopt;
}

// The weight with each channel of the input scaled; none where the layout does not allow it.
std::optional<Tensor> scaled_inputs(const WeightedLayer& layer, const RecordedCall& call, const Tensor& scale) {
  const auto& weight = layer.weight;
  if (!is_convolution(call)) return weight * along(scale, 0, 2);
  const auto how = convolution_of(call);
  if (how.transposed) return weight * along(scale, 0, weight.dim());
  if (how.groups == 1) return weight * along(scale, 1, weight.dim());
  auto grouped = weight.sizes().vec();
  grouped.front() /= how.groups;
  grouped.insert(grouped.begin(), how.groups);
  std::vector<int64_t> shape(grouped.size(), 1);
  shape.at(0) = how.groups;
  shape.at(2) = weight.size(1);
  return (weight.view(grouped) * scale.view(shape)).view(weight.sizes());
}

}  // namespace

std::optional<WeightedLayer> weighted_layer(const RecordedCall& call) {
  const auto name = operator_base_name(call.name);
  if (is_convolution(call)) return call.depends(0) ? std::optional(convolution_layer(call)) : std::nullopt;
  if (name == "mm" && call.depends(0)) return product_layer(call.tensor(0), call.tensor(1), {});
  if (name != "addmm" || !call.depends(1) || call.depends(0)) return {};
  // beta bias + alpha x weight
  const auto beta = call.arguments.at(3).toScalar(), alpha = call.arguments.at(4).toScalar();
  const auto scaled = [](const Tensor& tensor, const at::Scalar& by) {
    return by.toDouble() == 1 ? tensor : tensor * by;
  };
  return product_layer(call.tensor(1), scaled(call.tensor(2), alpha), scaled(call.tensor(0), beta));
}

// Arguments of every batch norm: input, weight, bias, mean, variance, training, momentum, eps.
std::optional<ChannelScale> channel_scale(const RecordedCall& call) {
  const auto mean = call.tensor(3), variance = call.tensor(4);
  if (!mean.defined() || !variance.defined() || !call.arguments.at(5).isBool() || call.arguments.at(5).toBool())
    return {};
  auto scale = (variance + call.arguments.at(7).toDouble()).rsqrt();
  if (const auto weight = call.tensor(1); weight.defined()) scale = scale * weight;
  auto shift = -mean * scale;
  if (const auto bias = call.tensor(2); bias.defined()) shift = shift + bias;
  return ChannelScale{scale, shift};
}

bool merge_after(WeightedLayer& layer, const RecordedCall& call, const ChannelScale& norm) {
  const auto dim = output_dim(call);
  if (!dim || layer.weight.size(*dim) != norm.scale.numel()) return false;
  layer.weight = layer.weight * along(norm.scale, *dim, layer.weight.dim());
  const auto channels = channel_dim(layer, call);
  const auto scale = along(norm.scale, channels, layer.x.dim()), shift = along(norm.shift, channels, layer.x.dim());
  layer.bias = layer.bias.defined() ? layer.bias * scale + shift : shift;
  return true;
}

bool merge_before(WeightedLayer& layer, const RecordedCall& call, const ChannelScale& norm, const Tensor& x) {
  const auto channels = channel_dim(layer, call);
  if (x.sizes() != layer.x.sizes() || x.size(channels) != norm.scale.numel()) return false;
  auto scaled = scaled_inputs(layer, call, norm.scale);
  if (!scaled) return false;
  // At the margins zeros were added to the shifted input: the bias is not the same at all positions.
  const auto shift = along(norm.shift, channels, x.dim()).expand(x.sizes()).contiguous();
  layer.bias = WeightedLayer::plus(layer.apply(shift, layer.weight), layer.bias);
  layer.weight = *scaled;
  layer.x = x;
  return true;
}

}  // namespace gradcam
