#include "factors.h"

#include <algorithm>

#include "core/base/error.h"
#include "nmf.h"

namespace gradcam {

LayerFactors factorize(const Tensor& activation, int64_t concepts, const std::string& layer, const CancelFlag* cancel) {
  const auto table = activation.to(at::kCPU, at::kDouble).transpose(0, 1).flatten(1).contiguous();
  const auto most = std::min(table.size(0), table.size(1));
  if (concepts > most)
    throw Error("ERR_INVALID_ARGUMENT",
                "The batch has " + std::to_string(table.size(0)) + " channels and " + std::to_string(table.size(1)) +
                    " positions at layer '" + layer + "', which cannot be made of " + std::to_string(concepts) +
                    " concepts.",
                Remedy{"Ask for at most " + std::to_string(most) + "."});
  if (!table.isfinite().all().item<bool>())
    throw Error("ERR_LAYER_OUTPUT",
                "Layer '" + layer + "' returned NaN or infinity, which is not made of any concepts.",
                Remedy{"Pick a layer before that, or look at the input."});
  const auto least = table.amin(1, /*keepdim=*/true);
  const auto found = nonnegative_factors((table - least).contiguous(), concepts, cancel);
  auto sizes = activation.sizes().vec();
  sizes[1] = sizes[0];
  sizes[0] = concepts;
  return {(found.w + least).t().to(activation.options()).contiguous(),
          found.h.reshape(sizes).transpose(0, 1).to(activation.options()).contiguous()};
}

}  // namespace gradcam
