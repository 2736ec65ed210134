#include "max_pool.h"

#include <ATen/record_function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/generated/Functions.h>

#include <tuple>

#include "autograd_node.h"

namespace gradcam {

namespace ag = torch::autograd;
using torch::Tensor;

namespace {

// Below, changing the layout costs more than it saves.
constexpr int64_t kMinElements = 1 << 15, kMinChannels = 8;

bool is_faster_in_channels_last(const Tensor& input) {
  return input.device().is_cpu() && input.scalar_type() == at::kFloat && input.layout() == at::kStrided &&
         input.dim() == 4 && input.numel() >= kMinElements && input.size(1) >= kMinChannels && input.is_contiguous() &&
         input.suggest_memory_format() == at::MemoryFormat::Contiguous;
}

}  // namespace

Tensor max_pool(const Tensor& input, at::IntArrayRef kernel, at::IntArrayRef stride, at::IntArrayRef padding,
                at::IntArrayRef dilation, bool ceil_mode) {
  // With callbacks, somebody records which operators run (a profiler, DeepLIFT's rule for max-pooling).
  if (!is_faster_in_channels_last(input) || at::hasCallbacks())
    return at::max_pool2d(input, kernel, stride, padding, dilation, ceil_mode);
  Tensor output, indices;
  {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    std::tie(output, indices) = at::max_pool2d_with_indices(input.contiguous(at::MemoryFormat::ChannelsLast), kernel,
                                                            stride, padding, dilation, ceil_mode);
    output = output.contiguous();
  }
  if (!at::GradMode::is_enabled() || !input.requires_grad()) return output;
  const NodePtr recorded = make_node<ag::generated::MaxPool2DWithIndicesBackward0>();
  auto& node = static_cast<ag::generated::MaxPool2DWithIndicesBackward0&>(*recorded);
  recorded->set_next_edges(ag::collect_next_edges(input));
  node.self_ = ag::SavedVariable(input, /*is_output=*/false);
  node.result1_ = ag::SavedVariable(indices.contiguous(), /*is_output=*/false);
  node.kernel_size = kernel.vec();
  node.stride = stride.vec();
  node.padding = padding.vec();
  node.dilation = dilation.vec();
  node.ceil_mode = ceil_mode;
  ag::set_history(output, recorded);
  return output;
}

}  // namespace gradcam
