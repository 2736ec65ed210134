#include "core/base/error.h"
#include "core/base/tensor_rounding.h"
#include "principal.h"
#include "table.h"

namespace gradcam {

namespace {

constexpr int64_t kMaxPositions = 4096;  // a kernel of 128 MiB per image, and minutes of work

}  // namespace

// KPCA-CAM: K = tanh(X X^T / C + 1), the sigmoid kernel between spatial positions of the centred activation; K is
// centred in rows and columns, and with its largest eigenvalue l and that one's eigenvector v the map is max(v sqrt(l),
// 0). The element of v that is largest in magnitude is positive. It does not depend on the target. Karmani et al. 2024,
// "KPCA-CAM: Visual Explainability of Deep Computer Vision Models using Kernel PCA", arXiv:2410.00267, section III;
// kernel and sign are those of pytorch-grad-cam, by way of scikit-learn's KernelPCA.
Tensor kernel_principal(const Tensor& contribution) {
  const Tables tables(contribution);
  const auto& x = tables.centred;
  if (x.size(1) > kMaxPositions)
    throw Error("ERR_LAYER_OUTPUT",
                "KPCA-CAM compares every spatial position with every other, and this layer has " +
                    std::to_string(x.size(1)) + " of them; it takes up to " + std::to_string(kMaxPositions) + ".",
                Remedy{"Pick a later layer."});
  auto kernel = (at::bmm(x, x.transpose(1, 2)) / static_cast<double>(x.size(2)) + 1).tanh_();
  const auto rows = kernel.mean(2, true), columns = kernel.mean(1, true);
  kernel = kernel - rows - columns + columns.mean(2, true);
  const auto [values, vectors] = at::linalg_eigh(kernel);
  const auto first = vectors.select(2, vectors.size(2) - 1);
  const auto largest = first.gather(1, first.abs().argmax(1, /*keepdim=*/true));
  // The kernel is within [-1, 1]. What centring leaves of one that is the same everywhere is rounding, which its root
  // would bring up to 1e-8.
  const auto most = values.select(1, values.size(1) - 1);
  const auto scale =
      most.masked_fill(most.le(rounding_of(at::kDouble) * static_cast<double>(x.size(1))), 0).sqrt().unsqueeze(-1);
  return tables.map(first * scale * largest.sign(), contribution);
}

}  // namespace gradcam
