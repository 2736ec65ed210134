#include "overlay.h"

#include <ATen/Dispatch.h>

namespace gradcam {

using torch::Tensor;

namespace {

Tensor on_cpu(const Tensor& tensor, at::ScalarType dtype) { return tensor.detach().to(at::kCPU, dtype).contiguous(); }

int pixels(int64_t size) { return static_cast<int>(size); }

}  // namespace

Tensor overlay(const Tensor& images, const Tensor& maps, const ColorTable& colors, double alpha) {
  const auto image = on_cpu(images, images.scalar_type()), map = on_cpu(maps, at::kFloat);
  auto result = at::empty_like(image);
  const int height = pixels(image.size(2)), width = pixels(image.size(3));
  AT_DISPATCH_FLOATING_TYPES(image.scalar_type(), "overlay", [&] {
    for (int64_t i = 0; i < image.size(0); ++i)
      draw_overlay(MapView{map[i].const_data_ptr<float>(), pixels(map.size(2)), pixels(map.size(3))},
                   PlanesView<scalar_t>{image[i].const_data_ptr<scalar_t>(), height, width}, colors,
                   static_cast<scalar_t>(alpha), result[i].data_ptr<scalar_t>());
  });
  return result.to(images.device());
}

Tensor colorize(const Tensor& values, const ColorTable& colors) {
  const auto value = on_cpu(values, values.scalar_type());
  auto result = at::empty({value.size(0), 3, value.size(2), value.size(3)}, at::kFloat);
  const auto plane = value.size(2) * value.size(3);
  AT_DISPATCH_FLOATING_TYPES(value.scalar_type(), "colorize", [&] {
    const auto* from = value.const_data_ptr<scalar_t>();
    auto* to = result.data_ptr<float>();
    for (int64_t i = 0; i < value.size(0); ++i, to += 3 * plane)
      for (int64_t at = 0; at < plane; ++at) {
        const auto& color = colors[color_of(*from++)];
        for (size_t channel = 0; channel < 3; ++channel)
          to[static_cast<int64_t>(channel) * plane + at] = color[channel];
      }
  });
  return result.to(values.device());
}

}  // namespace gradcam
