#include "stem_node.h"

#include <torch/csrc/autograd/generated/Functions.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

namespace gradcam {

namespace ag = torch::autograd;
using torch::Tensor;

namespace {

// With more, rearranging the positions costs more than it saves.
constexpr int64_t kMostChannels = 4, kMaxOutputChannels = 64;

// One spatial dimension. Tap k of the kernel connects output position o with input position s * o + k - padding. So
// input position s * q + r receives gradient from output position q + d through tap r + padding - s * d.
struct StemAxis {
  int64_t input, output, kernel, stride, padding;

  int64_t tap(int64_t residue, int64_t shift) const { return residue + padding - stride * shift; }
  int64_t least_shift() const { return -((kernel - 1 - padding) / stride); }
  int64_t most_shift() const { return (stride - 1 + padding) / stride; }
  int64_t taps() const { return most_shift() - least_shift() + 1; }
  int64_t groups() const { return (input + stride - 1) / stride; }  // of s positions each
  // Padding of the gradient, so that every group has all of its taps; and the groups that it adds before the first.
  int64_t margin() const { return std::max({-least_shift(), most_shift() + groups() - output, int64_t{0}}); }
  int64_t skipped() const { return margin() + least_shift(); }
};

struct Stem {
  StemAxis y, x;
  int64_t channels;
  Tensor weight;  // [channels * s * s, outputs, taps, taps]
};

// [outputs, channels, kernel, kernel] as the weight of a convolution that computes all input positions.
Tensor positions_weight(const Tensor& weight, const StemAxis& y, const StemAxis& x) {
  const auto outputs = weight.size(0), channels = weight.size(1);
  auto positions = at::zeros({channels, y.stride, x.stride, outputs, y.taps(), x.taps()}, weight.options());
  const auto from = weight.accessor<float, 4>();
  auto to = positions.accessor<float, 6>();
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t ry = 0; ry < y.stride; ++ry)
      for (int64_t rx = 0; rx < x.stride; ++rx)
        for (int64_t i = 0; i < y.taps(); ++i)
          for (int64_t j = 0; j < x.taps(); ++j) {
            const auto ky = y.tap(ry, i + y.least_shift()), kx = x.tap(rx, j + x.least_shift());
            if (ky < 0 || ky >= y.kernel || kx < 0 || kx >= x.kernel) continue;
            for (int64_t o = 0; o < outputs; ++o) to[c][ry][rx][o][i][j] = from[o][c][ky][kx];
          }
  return positions.flatten(0, 2);
}

class StemNode : public ag::Node {
 public:
  explicit StemNode(Stem stem) : stem_(std::move(stem)) {}

  ag::variable_list apply(ag::variable_list&& above) override {
    const auto gradient = std::move(above.front());
    if (!gradient.defined()) return {gradient};
    const auto &y = stem_.y, &x = stem_.x;
    const auto all = at::conv2d(gradient, stem_.weight, {}, /*stride=*/1, {y.margin(), x.margin()});
    const auto groups = all.narrow(2, y.skipped(), y.groups()).narrow(3, x.skipped(), x.groups());
    const auto images = gradient.size(0);
    const auto positions = groups.reshape({images, stem_.channels, y.stride, x.stride, y.groups(), x.groups()})
                               .permute({0, 1, 4, 2, 5, 3})
                               .reshape({images, stem_.channels, y.groups() * y.stride, x.groups() * x.stride});
    return {positions.narrow(2, 0, y.input).narrow(3, 0, x.input).contiguous()};
  }

  std::string name() const override { return "StemConvolutionBackward"; }

 private:
  Stem stem_;
};

using Pair = std::array<int64_t, 2>;

std::optional<Pair> pair_of(const std::vector<c10::SymInt>& list) {
  if (list.empty() || list.size() > 2) return {};
  return Pair{list.front().expect_int(), list.back().expect_int()};
}

std::optional<Stem> stem_of(const ag::generated::ConvolutionBackward0& node, const Tensor& input,
                            const Tensor& weight) {
  const auto stride = pair_of(node.stride), padding = pair_of(node.padding), dilation = pair_of(node.dilation);
  if (node.transposed || node.groups != 1 || !stride || !padding || !dilation || *dilation != Pair{1, 1}) return {};
  for (const auto& tensor : {input, weight})
    if (!tensor.is_cpu() || tensor.scalar_type() != at::kFloat || tensor.layout() != at::kStrided || tensor.dim() != 4)
      return {};
  const auto channels = input.size(1);
  const bool is_stem = channels <= kMostChannels && (*stride)[0] > 1 && (*stride)[1] > 1 && input.numel() > 0 &&
                       channels * (*stride)[0] * (*stride)[1] <= kMaxOutputChannels;
  if (!is_stem) return {};
  std::array<StemAxis, 2> axes{};
  for (size_t i = 0; i < 2; ++i) {
    const auto size = input.size(static_cast<int64_t>(i) + 2), kernel = weight.size(static_cast<int64_t>(i) + 2);
    const auto last = size + 2 * (*padding)[i] - kernel;  // where the kernel can begin
    // Unused taps, and padding wider than the kernel, are left to the general case.
    if (last < 0 || (*padding)[i] > kernel - 1 || kernel < (*stride)[i]) return {};
    axes[i] = {size, last / (*stride)[i] + 1, kernel, (*stride)[i], (*padding)[i]};
  }
  return Stem{axes[0], axes[1], channels, positions_weight(weight, axes[0], axes[1])};
}

}  // namespace

NodePtr stem_node(const NodePtr& node) {
  auto* own = dynamic_cast<ag::generated::ConvolutionBackward0*>(node.get());
  if (!own || node->next_edges().empty() || !node->next_edge(0).is_valid()) return {};
  try {
    const auto input = own->input_.unpack();
    const auto weight = own->weight_.unpack().detach();
    auto stem = stem_of(*own, input, weight);
    if (!stem) return {};
    const auto output = input.new_zeros({1}).expand({input.size(0), weight.size(0), stem->y.output, stem->x.output});
    const NodePtr optimized = make_node<StemNode>(std::move(*stem));
    // Nobody needs the gradients of its weight and bias.
    optimized->set_next_edges({node->next_edge(0)});
    optimized->add_input_metadata(output);
    return optimized;
  } catch (const c10::Error&) {
    return {};  // a saved tensor was modified in place: autograd will raise its version-counter error
  }
}

}  // namespace gradcam
