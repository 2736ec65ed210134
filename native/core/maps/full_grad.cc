#include "full_grad.h"

#include <vector>

#include "maps.h"

namespace gradcam {

namespace {

// Each channel of each image min-max normalised to [0, 1], then the sum over channels: [N, 1, spatial...].
Tensor sum_of_normalised(const Tensor& evidence) { return min_max(evidence, /*first=*/2).sum(1, /*keepdim=*/true); }

}  // namespace

// FullGrad: n(sum over input channels of n(|x dx|) + sum over layers and channels of U(n(|b_k G_k|))), with n min-max
// normalisation with 1e-7, U linear upsampling in each spatial dimension, and b the implicit bias of each convolution
// and batch normalisation. Srinivas and Fleuret 2019, "Full-Gradient Representation for Neural Network Visualization",
// arXiv:1905.00780, equation 8, in pytorch-grad-cam's form. Upsampling is linear, so the channels are added up first,
// which is faster.
Tensor full_grad(const std::vector<BiasEvidence>& layers, const Tensor& input, const Tensor& input_gradient) {
  auto map = sum_of_normalised((at_least_float32(input_gradient) * at_least_float32(input)).abs());
  for (const auto& [bias, gradient] : layers) {
    const auto wide = at_least_float32(gradient);
    const auto evidence = (wide * over_space(bias.to(wide.options()).unsqueeze(0), wide)).abs();
    map = map + upsample_linear(sum_of_normalised(evidence), map.sizes().slice(2));
  }
  return min_max(map);
}

}  // namespace gradcam
