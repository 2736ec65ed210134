// Convolutions by kernels of our own, beside LibTorch's in float64, over shapes that no test's model covers.
#include "core/kernels/tiled_convolution.h"

#include <ATen/Parallel.h>
#include <torch/script.h>

#include <limits>
#include <random>

#include "check.h"
#include "convolution_case.h"
#include "core/kernels/fixed_convolution.h"
#include "core/kernels/tile_product.h"

namespace gradcam::test {

namespace {

void check(const ConvolutionCase& c) {
  const auto made = make_convolution(c);
  const auto convolution = TiledConvolution::make(made.weight, made.bias, c.shape);
  EXPECT_EQUAL(convolution.has_value(), tile_product() != nullptr);
  if (!convolution) return;
  const auto found =
      convolution->run(made.inputs, {c.before ? &made.before : nullptr, c.residual ? &made.residual : nullptr, c.relu});
  if (!found) fail(__LINE__, "nothing was computed for " + text_of(c));
  EXPECT(found->is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT(found->sizes() == made.expected.sizes());
  // Each of the additions in a row rounds by half a unit in the last place, at most: 6e-8 of the sum so far.
  const auto additions = static_cast<double>(made.weight.numel() / c.outputs + 3);
  const auto worst = ((*found - made.expected).abs() / made.magnitude).max().item<double>();
  if (!(worst < 6e-8 * additions)) fail(__LINE__, "off by " + std::to_string(worst) + " for " + text_of(c));
}

}  // namespace

TEST_CASE("tiled convolution: random shapes, as LibTorch's in float64") {
  torch::manual_seed(1);
  std::mt19937 random(1);
  const auto of = [&](std::vector<int64_t> choices) { return choices[random() % choices.size()]; };
  const auto outer = [](int64_t size, int64_t kernel, int64_t padding, int64_t dilation) {
    return size + 2 * padding - dilation * (kernel - 1);
  };
  for (int i = 0; i < 150; ++i) {
    ConvolutionCase c{{of({16, 17, 40, 300})},
                      of({8, 16, 32, 48, 112}),
                      of({1, 3}),
                      of({1, 5, 7, 14, 29}),
                      of({1, 6, 7, 13, 28}),
                      {of({1, 2, 3}), of({1, 3, 5})},
                      {{of({1, 1, 2}), of({1, 1, 2, 3})}, {of({0, 1, 2}), of({0, 1, 3})}, {of({1, 2}), of({1, 2})}, 1},
                      random() % 2 == 0,
                      random() % 2 == 0,
                      random() % 2 == 0,
                      random() % 2 == 0};
    if (tile_product())
      c.outputs =
          (c.outputs + tile_product()->columns / 2 - 1) / (tile_product()->columns / 2) * (tile_product()->columns / 2);
    while (random() % 3 == 0) c.channels.push_back(of({1, 12, 32, 270}));
    if (outer(c.height, c.kernel[0], c.shape.padding[0], c.shape.dilation[0]) < 1) continue;
    if (outer(c.width, c.kernel[1], c.shape.padding[1], c.shape.dilation[1]) < 1) continue;
    check(c);
  }
}

TEST_CASE("tiled convolution: more threads than outputs or pixels") {
  torch::manual_seed(2);
  const auto threads = at::get_num_threads();
  for (const int count : {1, 2, 3, 7}) {
    at::set_num_threads(count);
    check({{32, 32}, 112, 1, 2, 2, {1, 1}, {{1, 1}, {0, 0}, {1, 1}, 1}, true, true, false, true});
    check({{64}, 32, 2, 9, 20, {3, 3}, {{1, 1}, {1, 1}, {1, 1}, 1}, false, false, true, true});
    check({{64}, 128, 3, 30, 30, {1, 1}, {{2, 2}, {0, 0}, {1, 1}, 1}, false, true, true, false});
  }
  at::set_num_threads(threads);
}

TEST_CASE("tiled convolution: NaN stays NaN, also where it is normalised and below a ReLU") {
  if (!tile_product()) return;
  auto input = rows(torch::zeros({1, 32, 3, 20}));
  input[0][5][1][4] = std::numeric_limits<float>::quiet_NaN();
  const auto convolution = TiledConvolution::make(torch::ones({32, 32, 1, 1}), {}, {{1, 1}, {0, 0}, {1, 1}, 1}).value();
  const ChannelAffine before{torch::ones({32}), -torch::ones({32}), true};
  const auto found = convolution.run({input}, {&before, nullptr, true}).value();
  EXPECT_EQUAL(found.isnan().sum().item<int64_t>(), 32);
  EXPECT(found[0].select(1, 1).select(1, 4).isnan().all().item<bool>());
}

TEST_CASE("tiled convolution: other inputs are left to LibTorch") {
  const ConvolutionShape shape{{1, 1}, {0, 0}, {1, 1}, 1};
  const auto weight = torch::randn({32, 32, 1, 1});
  EXPECT(!TiledConvolution::make(weight.to(at::kDouble), {}, shape));
  EXPECT(!TiledConvolution::make(weight.to(at::kBFloat16), {}, shape));
  EXPECT(!TiledConvolution::make(torch::randn({32, 3, 7, 7}), {}, shape));
  EXPECT(!TiledConvolution::make(torch::randn({30, 32, 1, 1}), {}, shape));
  EXPECT(!TiledConvolution::make(torch::randn({32, 32, 1, 1}), {}, {{1, 1}, {0, 0}, {1, 1}, 2}));
  const auto convolution = TiledConvolution::make(weight, {}, shape);
  if (!convolution) return;
  const auto input = rows(torch::randn({2, 32, 5, 6}));
  EXPECT(convolution->run({input}, {}).has_value());
  EXPECT(!convolution->run({input.contiguous()}, {}));
  EXPECT(!convolution->run({input.to(at::kDouble)}, {}));
  EXPECT(!convolution->run({input.slice(1, 0, 31)}, {}));
  EXPECT(!convolution->run({input[0]}, {}));
  EXPECT(!convolution->run({input.slice(0, 0, 0)}, {}));
  const auto narrow = rows(torch::randn({2, 32, 5, 1}));
  EXPECT(!convolution->run({input}, {nullptr, &narrow, false}));
}

TEST_CASE("fused convolution: the same where no kernel of our own fits") {
  torch::manual_seed(3);
  const ConvolutionShape shape{{1, 1}, {1, 1}, {1, 1}, 1};
  for (const auto dtype : {at::kFloat, at::kDouble}) {
    // Contiguous inputs have no such kernel; nor has a residual that is broadcast.
    const auto a = torch::randn({2, 20, 6, 6}, dtype), b = torch::randn({2, 12, 6, 6}, dtype);
    const auto weight = torch::randn({32, 32, 3, 3}, dtype), residual = torch::randn({1, 32, 1, 1}, dtype);
    const ChannelAffine before{torch::randn({32}), torch::randn({32}), true};
    FixedConvolution convolution(weight, std::nullopt, shape, /*relu=*/true);
    const auto view = [](const torch::Tensor& t) { return t.to(at::kDouble).view({1, -1, 1, 1}); };
    const auto normalised = (torch::cat({a, b}, 1).to(at::kDouble) * view(before.scale) + view(before.shift)).relu();
    const auto expected =
        (at::conv2d(normalised, weight.to(at::kDouble), {}, shape.stride, shape.padding) + residual).relu();
    const auto found = convolution.run_fused({a, b}, &before, &residual);
    EXPECT(at::allclose(found.to(at::kDouble), expected, 1e-4, 1e-4));
    const auto last = convolution.run_fused({rows(a), rows(b)}, &before, &residual);
    EXPECT(at::allclose(last.to(at::kDouble), expected, 1e-4, 1e-4));
  }
}

}  // namespace gradcam::test
