// Convolutions by oneDNN whose inputs change in size: the same values as LibTorch's in float64, and a weight that is
// not reordered each time.
#include "core/kernels/packed_weight.h"

#include <ATen/Parallel.h>
#include <torch/script.h>

#include <random>
#include <tuple>

#include "check.h"
#include "convolution_case.h"
#include "core/kernels/fixed_convolution.h"

namespace gradcam::test {

namespace {

// How oneDNN describes the order of a weight; undefined where LibTorch cannot tell.
torch::Tensor order_of(const torch::Tensor& packed) {
  const auto describing = find_onednn_operator("mkldnn::_get_mkldnn_serialized_md", "", 1);
  if (!describing || !packed.is_mkldnn()) return {};
  c10::Stack stack{packed};
  describing->callBoxed(stack);
  return stack.back().toTensor();
}

struct ChangingSizes {
  int64_t channels, outputs, groups;
  std::vector<int64_t> kernel;
  ConvolutionShape shape;
};

void check_values(const ChangingSizes& c, std::mt19937& random) {
  const auto weight = torch::randn({c.outputs, c.channels / c.groups, c.kernel[0], c.kernel[1]});
  const auto bias = torch::randn({c.outputs});
  FixedConvolution convolution(weight, bias, c.shape, /*relu=*/true);
  const std::vector<std::vector<int64_t>> sizes{{1, 9, 9}, {3, 9, 9}, {8, 9, 9}, {1, 30, 17}, {2, 56, 56}};
  for (int i = 0; i < 12; ++i) {
    const auto& size = sizes.at(random() % sizes.size());
    const auto x = rows(torch::randn({size[0], c.channels, size[1], size[2]}));
    const auto exact = at::conv2d(x.to(at::kDouble), weight.to(at::kDouble), bias.to(at::kDouble), c.shape.stride,
                                  c.shape.padding, c.shape.dilation, c.groups);
    const auto residual = rows(torch::randn(exact.sizes()));
    for (const bool adds : {false, true}) {
      const auto found = adds ? convolution.run_fused({x}, nullptr, &residual) : convolution.run(x);
      const auto expected = (adds ? exact + residual : exact).relu();
      const auto off = (found - expected).abs().max().item<double>() / expected.abs().max().item<double>();
      if (!(off < 1e-5)) fail(__LINE__, std::to_string(off) + " off at the call " + std::to_string(i));
    }
  }
}

}  // namespace

TEST_CASE("packed weight: convolutions compute what LibTorch does in float64 while the size of their inputs changes") {
  torch::manual_seed(6);
  std::mt19937 random(6);
  const auto shape = [](int64_t stride, int64_t padding, int64_t dilation, int64_t groups) {
    return ConvolutionShape{{stride, stride}, {padding, padding}, {dilation, dilation}, groups};
  };
  const std::vector<ChangingSizes> cases{
      {256, 1024, 1, {1, 1}, shape(1, 0, 1, 1)}, {512, 40, 1, {1, 1}, shape(2, 0, 1, 1)},
      {3, 64, 1, {7, 7}, shape(2, 3, 1, 1)},     {128, 128, 1, {3, 3}, shape(2, 1, 1, 1)},
      {96, 96, 96, {5, 5}, shape(1, 2, 1, 96)},  {64, 64, 4, {3, 3}, shape(1, 2, 2, 4)}};
  for (const auto& c : cases) check_values(c, random);
}

TEST_CASE("packed weight: it keeps its order until a size comes twice in a row that has a better one") {
  torch::manual_seed(7);
  std::mt19937 random(7);
  const ConvolutionShape shape{{1, 1}, {0, 0}, {1, 1}, 1};
  // With two threads oneDNN has more than one order for some of these sizes, on most processors.
  const auto threads = at::get_num_threads();
  at::set_num_threads(2);
  for (const auto& [channels, outputs, side] : std::vector<std::tuple<int64_t, int64_t, int64_t>>{
           {256, 1024, 14}, {1024, 256, 14}, {64, 256, 56}, {2048, 512, 7}, {40, 72, 5}}) {
    const auto weight = torch::randn({outputs, channels, 1, 1});
    const auto size = [&, c = channels, s = side](int64_t batch) { return std::vector<int64_t>{batch, c, s, s}; };
    PackedWeight packed;
    auto before = packed.of(weight, shape, size(1));
    // In turns: none comes twice.
    for (int i = 0; i < 4; ++i)
      for (const int64_t batch : {3, 1, 8, 2}) EXPECT(packed.of(weight, shape, size(batch)).is_same(before));
    int64_t last = 2;
    for (int i = 0; i < 40; ++i) {
      const int64_t batch = int64_t{1} << random() % 4;
      const auto now = packed.of(weight, shape, size(batch));
      PackedWeight own;
      const auto best = order_of(own.of(weight, shape, size(batch)));
      if (best.defined() && batch == last) EXPECT(at::equal(order_of(now), best));
      if (!now.is_same(before)) {
        EXPECT_EQUAL(batch, last);
        EXPECT(!at::equal(order_of(now), order_of(before)));
      }
      before = now;
      last = batch;
    }
  }
  at::set_num_threads(threads);
}

}  // namespace gradcam::test
