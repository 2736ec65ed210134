#include "batch_norm_node.h"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/generated/Functions.h>

#include <algorithm>
#include <cmath>

#include "clones.h"
#include "tensor_ownership.h"

namespace gradcam {

namespace ag = torch::autograd;
using torch::Tensor;

namespace {

// In the order of LibTorch's own products.
GRADCAM_CLONES("avx512f", "avx2")
void scale_plane(const float* from, float* to, float by, float then_by, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = from[i] * by * then_by;
}

GRADCAM_CLONES("avx512f", "avx2")
void scale_row(const float* from, float* to, const float* by, const float* then_by, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = from[i] * by[i] * then_by[i];
}

class BatchNormNode : public ag::Node {
 public:
  // Both float32 [C], contiguous.
  BatchNormNode(Tensor inverse_deviation, Tensor weight)
      : inverse_deviation_(std::move(inverse_deviation)), weight_(std::move(weight)) {}

  ag::variable_list apply(ag::variable_list&& above) override {
    auto gradient = std::move(above.front());
    if (!gradient.defined()) return {gradient};
    const auto channels = gradient.size(1);
    const bool planes = gradient.is_contiguous();
    const bool rows = !planes && gradient.dim() == 4 && gradient.is_contiguous(at::MemoryFormat::ChannelsLast);
    if (at::GradMode::is_enabled() || !(planes || rows)) {
      std::vector<int64_t> shape(gradient.dim(), 1);
      shape[1] = channels;
      return {gradient.mul(inverse_deviation_.view(shape)).mul(weight_.view(shape))};
    }
    const auto to = is_own(gradient) ? gradient : at::empty_like(gradient);
    const auto* from = gradient.const_data_ptr<float>();
    auto* out = to.mutable_data_ptr<float>();
    const auto* by = inverse_deviation_.const_data_ptr<float>();
    const auto* then_by = weight_.const_data_ptr<float>();
    if (gradient.numel() == 0) return {to};
    const auto length = planes ? gradient.numel() / (gradient.size(0) * channels) : channels;
    at::parallel_for(0, gradient.numel() / length, std::max<int64_t>(1, 32768 / length), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const auto at = i * length;
        if (planes) scale_plane(from + at, out + at, by[i % channels], then_by[i % channels], length);
        else scale_row(from + at, out + at, by, then_by, length);
      }
    });
    return {to};
  }

  std::string name() const override { return "FixedBatchNormBackward"; }

 private:
  Tensor inverse_deviation_, weight_;
};

bool is_plain(const Tensor& tensor) {
  return tensor.defined() && tensor.is_cpu() && tensor.scalar_type() == at::kFloat && tensor.is_contiguous();
}

}  // namespace

NodePtr batch_norm_node(const NodePtr& node) {
  auto* own = dynamic_cast<ag::generated::NativeBatchNormBackward0*>(node.get());
  if (!own || own->training || node->next_edges().empty()) return {};
  try {
    const auto input = own->input_.unpack();
    const auto variance = own->running_var_.unpack().detach();
    auto weight = own->weight_.unpack();
    weight = weight.defined() ? weight.detach() : at::ones_like(variance);
    if (!input.is_cpu() || input.scalar_type() != at::kFloat || !is_plain(variance) || !is_plain(weight)) return {};
    const auto inverse_deviation = at::empty_like(variance);
    const auto* from = variance.const_data_ptr<float>();
    auto* to = inverse_deviation.mutable_data_ptr<float>();
    for (int64_t i = 0; i < variance.numel(); ++i) to[i] = static_cast<float>(1 / std::sqrt(from[i] + own->eps));
    const NodePtr lean = make_node<BatchNormNode>(inverse_deviation, weight);
    // The gradients of its weight and bias are not wanted.
    lean->set_next_edges({node->next_edges().front()});
    lean->add_input_metadata(input);
    return lean;
  } catch (const c10::Error&) {
    return {};  // the model changed in place what the node keeps: its own gradient will say so
  }
}

}  // namespace gradcam
