#include "max_pool.h"

#include <ATen/record_function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/generated/Functions.h>

#include <optional>

#include "autograd_node.h"
#include "core/kernels/max_pool.h"

namespace gradcam {

namespace ag = torch::autograd;
using torch::Tensor;

Tensor max_pool(const Tensor& input, at::IntArrayRef kernel, at::IntArrayRef stride, at::IntArrayRef padding,
                at::IntArrayRef dilation, bool ceil_mode) {
  const bool in_graph = at::GradMode::is_enabled() && input.requires_grad();
  // With callbacks, DeepLIFT or relevance records the operators of the graph: the rule for max-pooling requires
  // LibTorch's own.
  const auto pooled = in_graph && at::hasCallbacks()
                          ? std::nullopt
                          : max_pool_planes(input, kernel, stride, padding, dilation, ceil_mode);
  if (!pooled) return at::max_pool2d(input, kernel, stride, padding, dilation, ceil_mode);
  const auto& [output, indices] = *pooled;
  if (!in_graph) return output;
  const NodePtr recorded = make_node<ag::generated::MaxPool2DWithIndicesBackward0>();
  auto& node = static_cast<ag::generated::MaxPool2DWithIndicesBackward0&>(*recorded);
  recorded->set_next_edges(ag::collect_next_edges(input));
  // LibTorch's gradient takes nothing but the sizes and the layout from it: its memory need not be kept.
  node.self_ = ag::SavedVariable(input.detach().new_empty({1}).expand(input.sizes()), /*is_output=*/false);
  node.result1_ = ag::SavedVariable(indices, /*is_output=*/false);
  node.kernel_size = kernel.vec();
  node.stride = stride.vec();
  node.padding = padding.vec();
  node.dilation = dilation.vec();
  node.ceil_mode = ceil_mode;
  ag::set_history(output, recorded);
  return output;
}

}  // namespace gradcam
