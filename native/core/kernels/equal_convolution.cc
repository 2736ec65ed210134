#include "equal_convolution.h"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "core/base/bounded.h"

namespace gradcam {

using torch::Tensor;

namespace {

constexpr size_t kMostOccasions = 64;
// With fewer numbers that are not zero, the orders could agree by chance.
constexpr int64_t kLeastNonzero = 32;
constexpr int64_t kTrialOutputs = 32, kTrialRows = 2;

// In the order in which they are tried. oneDNN takes 8 or 16 channels at a time, all taps of them; the channels of a
// 1x1 convolution go on from one to the next, or in blocks that are added up, whose size depends on the caches.
std::vector<SummationOrder> possible_orders(const Tensor& weight, bool with_bias) {
  const auto channels = weight.size(1), taps = weight.size(2) * weight.size(3);
  std::vector<SummationOrder> orders{{}};
  if (taps > 1) {
    orders.insert(orders.end(), {{16, true}, {8, false}, {16, false}});
  } else {
    for (int64_t block = 16; block < channels && block <= 256; block += 16) orders.push_back({block, true});
  }
  if (!with_bias) return orders;
  std::vector<SummationOrder> all;
  for (const auto bias : {SummationOrder::Bias::last, SummationOrder::Bias::first, SummationOrder::Bias::start})
    for (auto order : orders) {
      order.bias = bias;
      all.push_back(order);
    }
  return all;
}

// Some rows of the input, and the rows of the output that they alone determine.
struct Trial {
  int64_t from, rows;          // of the input
  int64_t skipped, at, count;  // of what comes out: `count` rows after the `skipped` ones, which are those from `at` on
};

Trial trial_of(int64_t height, int64_t out_height, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation) {
  // Rows that read nothing from the padding, in the middle.
  const auto skipped = (padding + stride - 1) / stride, count = std::min(kTrialRows, out_height);
  const auto rows = (skipped + count - 1) * stride - padding + dilation * (kernel - 1) + 1;
  const auto from = out_height / 2 * stride;
  if (from + rows > height || out_height / 2 + skipped + count > out_height) return {0, height, 0, 0, out_height};
  return {from, rows, skipped, out_height / 2 + skipped, count};
}

bool is_plain(const Tensor& tensor) {
  return tensor.dim() == 4 && tensor.is_cpu() && tensor.scalar_type() == at::kFloat && tensor.numel() > 0 &&
         tensor.layout() == at::kStrided && !tensor.is_neg() && !tensor._is_zerotensor();
}

}  // namespace

EqualConvolution::EqualConvolution(Tensor weight, std::optional<Tensor> bias, ConvolutionShape shape)
    : weight_(std::move(weight)),
      bias_(std::move(bias)),
      shape_(std::move(shape)),
      fixed_(c10::make_intrusive<FixedConvolution>(weight_, bias_, shape_, /*relu=*/false)) {}

Tensor EqualConvolution::run_libtorch(const Tensor& input) const {
  return at::conv2d(input.contiguous(), weight_, bias_, shape_.stride, shape_.padding, shape_.dilation, shape_.groups);
}

std::optional<SummationOrder> EqualConvolution::find_order(const Tensor& input, const Tensor& output,
                                                           bool& told) const {
  const auto outputs = std::min(output.size(1), kTrialOutputs);
  const auto trial =
      trial_of(input.size(2), output.size(2), weight_.size(2), shape_.stride[0], shape_.padding[0], shape_.dilation[0]);
  const auto part = input.narrow(0, 0, 1).narrow(2, trial.from, trial.rows).contiguous(at::MemoryFormat::ChannelsLast);
  const auto expected = output.narrow(0, 0, 1).narrow(1, 0, outputs).narrow(2, trial.at, trial.count);
  const auto weight = weight_.narrow(0, 0, outputs);
  const auto bias = bias_ ? std::optional(bias_->narrow(0, 0, outputs)) : std::nullopt;
  std::optional<SummationOrder> found;
  bool others = false;
  const auto orders = possible_orders(weight, bias.has_value());
  for (const auto& order : orders) {
    const auto kernels = TiledConvolution::make(weight, bias, shape_, order);
    const auto result = kernels ? kernels->run(std::vector<Tensor>{part}, {}) : std::nullopt;
    if (!result) continue;
    if (!at::equal(result->narrow(2, trial.skipped, trial.count), expected))
      others = true;
    else if (!found)
      found = order;
    if (found && others) break;
  }
  // Where all orders agree, as on an input of zeros, it is not known which of them is LibTorch's.
  told = (others || orders.size() == 1) && at::count_nonzero(expected).item<int64_t>() >= kLeastNonzero;
  return found;
}

const TiledConvolution* EqualConvolution::kernels_of(const SummationOrder& order) {
  for (const auto& [known, kernels] : kernels_)
    if (known == order) return kernels.get();
  auto made = TiledConvolution::make(weight_, bias_, shape_, order);
  kernels_.emplace_back(order, made ? std::make_unique<TiledConvolution>(std::move(*made)) : nullptr);
  return kernels_.back().second.get();
}

bool EqualConvolution::comes_again(const Occasion& occasion) {
  if (std::find(came_once_.begin(), came_once_.end(), occasion) != came_once_.end()) return true;
  append_bounded(came_once_, occasion, kMostOccasions);
  return false;
}

void EqualConvolution::find_kernels(const Occasion& occasion, const Tensor& input, const Tensor& output) {
  bool told = false;
  const auto order = find_order(input, output, told);
  if (!told) return;
  const auto* kernels = order ? kernels_of(*order) : nullptr;
  // A part gave the order: the whole has to agree, which takes as long as one more run, once.
  if (kernels) {
    const auto whole = kernels->run(std::vector<Tensor>{input.contiguous(at::MemoryFormat::ChannelsLast)}, {});
    if (!whole || !at::equal(*whole, output)) kernels = nullptr;
  }
  append_bounded(known_, {occasion, kernels}, kMostOccasions);
}

Tensor EqualConvolution::run(const std::vector<Tensor>& inputs, const ChannelAffine* before,
                             const std::function<Tensor()>& libtorch) {
  if (!std::all_of(inputs.begin(), inputs.end(), is_plain)) return run_libtorch(libtorch());
  const auto& first = inputs.at(0);
  const Occasion occasion{first.size(0), first.size(2), first.size(3), at::get_num_threads()};
  const auto known =
      std::find_if(known_.begin(), known_.end(), [&](const Known& each) { return each.occasion == occasion; });
  if (known != known_.end() && known->kernels) {
    std::vector<Tensor> rows;
    for (const auto& input : inputs) rows.push_back(input.contiguous(at::MemoryFormat::ChannelsLast));
    ConvolutionSurroundings around;
    around.before = before;
    if (auto output = known->kernels->run(rows, around)) return *output;
  }
  const auto input = libtorch();
  const auto output = run_libtorch(input);
  if (known == known_.end() && comes_again(occasion)) find_kernels(occasion, input, output);
  return output.contiguous(at::MemoryFormat::ChannelsLast);
}

bool EqualConvolution::has_own_kernels(int64_t images, int64_t height, int64_t width) const {
  const Occasion occasion{images, height, width, at::get_num_threads()};
  return std::any_of(known_.begin(), known_.end(),
                     [&](const Known& each) { return each.occasion == occasion && each.kernels; });
}

Tensor EqualConvolution::input_gradient(const Tensor& gradient, const Tensor& input) {
  return fixed_->input_gradient(gradient.contiguous(at::MemoryFormat::ChannelsLast), input);
}

namespace {

struct EqualConvolutionFunction : torch::autograd::Function<EqualConvolutionFunction> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& input, const at::IValue& holder) {
    const auto convolution = c10::static_intrusive_pointer_cast<EqualConvolution>(holder.toCapsule());
    context->saved_data["convolution"] = holder;
    context->save_for_backward({convolution->has_adjoint() ? Tensor() : input});
    return convolution->run(input);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto convolution =
        c10::static_intrusive_pointer_cast<EqualConvolution>(context->saved_data["convolution"].toCapsule());
    const auto saved = context->get_saved_variables();
    return {convolution->input_gradient(gradients[0], saved[0]), Tensor()};
  }
};

}  // namespace

Tensor EqualConvolution::apply(const c10::intrusive_ptr<EqualConvolution>& convolution, const Tensor& input) {
  if (!at::GradMode::is_enabled() || !input.requires_grad()) return convolution->run(input);
  return EqualConvolutionFunction::apply(input, at::IValue::make_capsule(convolution));
}

}  // namespace gradcam
