#include "full_grad.h"

#include "maps.h"

namespace gradcam {

namespace {

// Each channel of each image min-max normalised to [0, 1], then the sum over channels: [N, 1, h, w].
Tensor sum_of_normalised(const Tensor& evidence) {
  const auto shifted = evidence - evidence.amin({2, 3}, /*keepdim=*/true);
  return (shifted / (shifted.amax({2, 3}, /*keepdim=*/true) + 1e-7)).sum(1, /*keepdim=*/true);
}

}  // namespace

// FullGrad: n(sum over input channels of n(|x dx|) + sum over layers and channels of U(n(|b_k G_k|))), with n min-max
// normalisation with 1e-7, U bilinear upsampling, and b the implicit bias of each convolution and batch normalisation.
// Srinivas and Fleuret 2019, "Full-Gradient Representation for Neural Network Visualization", arXiv:1905.00780,
// equation 8, in pytorch-grad-cam's form. Upsampling is linear, so the channels are added up first, which is faster.
Tensor full_grad(const std::vector<BiasEvidence>& layers, const Tensor& input, const Tensor& input_gradient) {
  auto map = sum_of_normalised((at_least_float32(input_gradient) * at_least_float32(input)).abs());
  for (const auto& [bias, gradient] : layers) {
    const auto wide = at_least_float32(gradient);
    const auto evidence = (wide * bias.to(wide.options()).view({1, -1, 1, 1})).abs();
    map = map + at::upsample_bilinear2d(sum_of_normalised(evidence), map.sizes().slice(2), /*align_corners=*/false);
  }
  return min_max(map);
}

}  // namespace gradcam
