#include "implicit_bias.h"

namespace gradcam {

namespace {

Tensor attribute(const c10::ivalue::Object& object, const std::string& name) {
  const auto slot = object.type()->findAttributeSlot(name);
  if (!slot) return {};
  const auto value = object.getSlot(*slot);
  return value.isTensor() ? value.toTensor() : Tensor();
}

}  // namespace

Tensor implicit_bias(ModuleId key, const Inputs& inputs, const Tensor& output) {
  const at::NoGradGuard no_graph;
  const auto& object = *static_cast<const c10::ivalue::Object*>(key);
  const auto bias = attribute(object, "bias");
  const auto mean = attribute(object, "running_mean");
  if (!bias.defined() || !mean.defined()) return bias.defined() ? bias.detach().to(at::kDouble) : bias;
  // A traced module has no attribute eps, but the scale gamma / sqrt(var + eps) follows from input and output. It is
  // computed at the position where the input of a channel is farthest from its mean, which loses the least precision.
  const auto by_channel = [](const Tensor& t) { return t.detach().to(at::kDouble).transpose(0, 1).flatten(1); };
  const auto beta = bias.detach().to(at::kDouble).unsqueeze(1), mu = mean.to(at::kDouble).unsqueeze(1);
  const auto distance = by_channel(inputs.front().toTensor()) - mu;
  const auto scaled = by_channel(output) - beta;
  // NaN or an infinity in one image of a batch says nothing of the scale, which is that of all.
  const auto unknown = at::logical_and(distance.isfinite(), scaled.isfinite()).logical_not_();
  const auto farthest = distance.abs().masked_fill_(unknown, -1).argmax(1, /*keepdim=*/true);
  const auto scale = scaled.gather(1, farthest) / distance.gather(1, farthest);
  return (beta - mu * scale.nan_to_num(0, 0, 0)).squeeze(1);
}

}  // namespace gradcam
