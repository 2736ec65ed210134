#include "copy_inputs.h"

#include "core/base/device.h"

namespace gradcam {

namespace {

at::MemoryFormat layout(const Tensor& t, bool channels_last, at::MemoryFormat otherwise) {
  return channels_last && t.dim() == 4 && t.is_floating_point() ? at::MemoryFormat::ChannelsLast : otherwise;
}

}  // namespace

IValue copy_input(const IValue& input, at::Device device, bool channels_last) {
  return map_tensors(input, [&](const Tensor& t) {
    if (t.device() == device) return t.detach().clone(layout(t, channels_last, at::MemoryFormat::Preserve));
    return to_device(t.detach(), device).contiguous(layout(t, channels_last, t.suggest_memory_format()));
  });
}

IValue to_layout(const IValue& input, bool channels_last) {
  return map_tensors(
      input, [&](const Tensor& t) { return t.contiguous(layout(t, channels_last, t.suggest_memory_format())); });
}

}  // namespace gradcam
