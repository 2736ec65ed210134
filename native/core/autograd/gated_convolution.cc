#include "gated_convolution.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>

#include <cmath>

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/kernels/tile_product.h"

namespace gradcam {

namespace ag = torch::autograd;
using torch::Tensor;

namespace {

// As LibTorch does it: in float32, by fused multiplication and addition.
ChannelAffine affine_of(const Gate& gate) {
  const auto channels = gate.norm.mean.size(0);
  ChannelAffine affine{at::empty_like(gate.norm.mean), at::empty_like(gate.norm.mean), /*relu=*/true};
  const auto *weight = gate.norm.weight.const_data_ptr<float>(), *bias = gate.norm.bias.const_data_ptr<float>();
  const auto *mean = gate.norm.mean.const_data_ptr<float>(), *variance = gate.norm.variance.const_data_ptr<float>();
  auto *scale = affine.scale.mutable_data_ptr<float>(), *shift = affine.shift.mutable_data_ptr<float>();
  for (int64_t c = 0; c < channels; ++c) {
    scale[c] = 1 / std::sqrt(variance[c] + static_cast<float>(gate.norm.epsilon)) * weight[c];
    shift[c] = std::fma(-mean[c], scale[c], bias[c]);
  }
  return affine;
}

// Whether the kernels round as LibTorch does on this processor, which takes some numbers to see.
bool rounds_alike(const Gate& gate, const ChannelAffine& affine) {
  const auto channels = gate.norm.mean.size(0);
  const auto spread = (gate.norm.variance + gate.norm.epsilon).sqrt();
  const auto numbers =
      at::linspace(-2, 2, 16 * channels, gate.norm.mean.options()).view({16, channels}) * spread + gate.norm.mean;
  const auto input = numbers.view({1, 4, 4, channels}).permute({0, 3, 1, 2});
  const auto expected = gate.norm.applied_to(input).relu().permute({0, 2, 3, 1}).contiguous();
  auto found = at::empty_like(numbers);
  // In two parts of any size, of which the first grows.
  for (int64_t row = 0; row < 16; ++row)
    for (int64_t from = 0, until = channels * row / 16; from < channels; from = until, until = channels)
      tile_product()->copy(numbers.const_data_ptr<float>() + row * channels + from,
                           found.mutable_data_ptr<float>() + row * channels + from,
                           affine.scale.const_data_ptr<float>() + from, affine.shift.const_data_ptr<float>() + from, 0,
                           until - from);
  return at::equal(found.view_as(expected), expected);
}

bool is_float_vector(const Tensor& tensor, int64_t size) {
  return tensor.defined() && tensor.is_cpu() && tensor.scalar_type() == at::kFloat && tensor.dim() == 1 &&
         tensor.is_contiguous() && tensor.size(0) == size;
}

class GatedConvolutionNode : public ag::Node, public OwnRelu {
 public:
  GatedConvolutionNode(c10::intrusive_ptr<GatedConvolution> convolution, const std::vector<Tensor>& inputs)
      : OwnRelu(convolution->of_module()), convolution_(std::move(convolution)) {
    for (const auto& input : inputs) inputs_.emplace_back(input, /*is_output=*/false);
  }

  ag::variable_list apply(ag::variable_list&& above) override {
    if (!above.front().defined()) return ag::variable_list(inputs_.size());
    if (at::GradMode::is_enabled())
      throw Error("ERR_NO_GRADIENT", "The gradient at the input of a split model has no gradient of its own.",
                  Remedy{"Use execution: 'hooked'."});
    std::vector<Tensor> inputs;
    std::vector<bool> needed;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      inputs.push_back(inputs_[i].unpack());
      needed.push_back(task_should_compute_output(i));
    }
    return convolution_->input_gradients(above.front(), inputs, needed, rule_);
  }

  bool is_intact() const {
    try {
      for (const auto& input : inputs_) input.unpack();
    } catch (const c10::Error&) {
      return false;
    }
    return true;
  }

  std::string name() const override { return "GatedConvolutionBackward"; }
  void release_variables() override {
    for (auto& input : inputs_) input.reset_data();
  }

 private:
  c10::intrusive_ptr<GatedConvolution> convolution_;
  std::vector<ag::SavedVariable> inputs_;
};

}  // namespace

c10::intrusive_ptr<GatedConvolution> GatedConvolution::make(const Gate& gate,
                                                            c10::intrusive_ptr<EqualConvolution> convolution) {
  if (!convolution->has_adjoint() || !tile_product()) return {};
  auto made = c10::make_intrusive<GatedConvolution>(gate, std::move(convolution));
  return made->prepare() ? made : nullptr;
}

bool GatedConvolution::prepare() {
  const auto channels = convolution_->channels();
  if (!gate_.norm.mean.defined()) {
    weight_ = inverse_deviation_ = at::ones({channels}, at::kFloat);
    affine_ = {weight_, at::zeros({channels}, at::kFloat), /*relu=*/true};
    return true;
  }
  for (const auto& tensor : {gate_.norm.weight, gate_.norm.bias, gate_.norm.mean, gate_.norm.variance})
    if (!is_float_vector(tensor, channels)) return false;
  affine_ = affine_of(gate_);
  inverse_deviation_ = inverse_deviation(gate_.norm.variance, gate_.norm.epsilon);
  weight_ = gate_.norm.weight;
  return rounds_alike(gate_, affine_);
}

Tensor GatedConvolution::normalized(const std::vector<Tensor>& inputs) const {
  const auto input = inputs.size() == 1 ? inputs[0] : at::cat(inputs, 1);
  return gate_.norm.mean.defined() ? gate_.norm.applied_to(input).relu_() : input.relu();
}

Tensor GatedConvolution::apply(const c10::intrusive_ptr<GatedConvolution>& convolution,
                               const std::vector<Tensor>& inputs) {
  const auto run = [&] {
    const at::NoGradGuard no_graph;
    return convolution->convolution_->run(inputs, &convolution->affine_,
                                          [&] { return convolution->normalized(inputs); });
  };
  bool recorded = false;
  for (const auto& input : inputs) recorded |= at::GradMode::is_enabled() && input.requires_grad();
  if (!recorded) return run();
  const NodePtr node = make_node<GatedConvolutionNode>(convolution, inputs);
  node->set_next_edges(ag::collect_next_edges(inputs));
  auto output = run();
  ag::set_history(output, node);
  return output;
}

std::vector<Tensor> GatedConvolution::input_gradients(const Tensor& gradient, const std::vector<Tensor>& inputs,
                                                      const std::vector<bool>& needed,
                                                      std::optional<ReluRule> rule) const {
  const auto above = convolution_->input_gradient(gradient).contiguous(at::MemoryFormat::ChannelsLast);
  const auto channels = above.size(1), pixels = above.numel() / channels;
  struct Source {
    const float* x;
    float* to;
    int64_t first, channels;
  };
  std::vector<Tensor> gradients(inputs.size()), rows;
  std::vector<Source> sources;
  int64_t first = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto own = inputs[i].size(1);
    if (needed[i]) {
      rows.push_back(inputs[i].contiguous(at::MemoryFormat::ChannelsLast));
      gradients[i] = at::empty_like(rows.back());
      sources.push_back({rows.back().const_data_ptr<float>(), gradients[i].mutable_data_ptr<float>(), first, own});
    }
    first += own;
  }
  const auto* from = above.const_data_ptr<float>();
  const auto *scale = affine_.scale.const_data_ptr<float>(), *shift = affine_.shift.const_data_ptr<float>();
  const auto *by = inverse_deviation_.const_data_ptr<float>(), *then_by = weight_.const_data_ptr<float>();
  const auto gate = tile_product()->gate[rule != ReluRule::deconvnet][rule.has_value()];
  parallel_for(0, pixels, std::max<int64_t>(1, 32768 / channels), [&](int64_t begin, int64_t end) {
    for (int64_t pixel = begin; pixel < end; ++pixel)
      for (const auto& source : sources) {
        const auto c = source.first, at = pixel * source.channels;
        gate({source.x + at, scale + c, shift + c, from + pixel * channels + c, by + c, then_by + c, source.to + at,
              source.channels});
      }
  });
  return gradients;
}

bool is_intact(const ag::Node& node) {
  const auto* gated = dynamic_cast<const GatedConvolutionNode*>(&node);
  return !gated || gated->is_intact();
}

}  // namespace gradcam
