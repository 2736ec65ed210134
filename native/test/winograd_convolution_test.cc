// Winograd's convolutions beside LibTorch's in float64: they are to be as near to it as kernels that add all products
// one after the other, for which tiled_convolution_test.cc has a bound.
#include "core/kernels/winograd_convolution.h"

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

double root_mean_square(const torch::Tensor& error) {
  return error.to(at::kDouble).square().mean().sqrt().item<double>();
}

void check_winograd(const ConvolutionCase& c) {
  const auto made = make_convolution(c);
  auto convolution = WinogradConvolution::make(made.weight, made.bias, c.shape);
  EXPECT_EQUAL(convolution.has_value(), tile_product() != nullptr);
  if (!convolution) return;
  const ConvolutionSurroundings around{c.before ? &made.before : nullptr, c.residual ? &made.residual : nullptr,
                                       c.relu};
  const auto found = convolution->run(made.inputs, around);
  if (!found) fail(__LINE__, "nothing was computed for " + text_of(c));
  EXPECT(found->is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT(found->sizes() == made.expected.sizes());
  const auto off = root_mean_square(*found - made.expected);
  const auto tiled = TiledConvolution::make(made.weight, made.bias, c.shape).value().run(made.inputs, around).value();
  const auto usual = root_mean_square(tiled - made.expected);
  // Of few outputs, by chance all may be near.
  if (!(off < 1.5 * usual + 1e-6)) fail(__LINE__, std::to_string(off / usual) + " times as far off for " + text_of(c));
}

ConvolutionShape shape_of(int64_t padding_y, int64_t padding_x) { return {{1, 1}, {padding_y, padding_x}, {1, 1}, 1}; }

}  // namespace

TEST_CASE("Winograd's convolution: random shapes, as near to float64 as sums one after the other") {
  torch::manual_seed(4);
  std::mt19937 random(4);
  const auto of = [&](std::vector<int64_t> choices) { return choices[random() % choices.size()]; };
  for (int i = 0; i < 150; ++i) {
    ConvolutionCase c{{of({16, 32, 48, 304})},
                      of({16, 32, 48, 112}),
                      of({1, 3}),
                      of({3, 4, 5, 7, 14, 29}),
                      of({3, 5, 6, 7, 13, 28}),
                      {3, 3},
                      shape_of(of({0, 1, 1, 2}), of({0, 1, 1, 2})),
                      random() % 2 == 0,
                      random() % 2 == 0,
                      random() % 2 == 0,
                      random() % 2 == 0};
    while (random() % 3 == 0) c.channels.push_back(of({16, 32, 64}));
    check_winograd(c);
  }
}

TEST_CASE("Winograd's convolution: more threads than tiles or outputs") {
  torch::manual_seed(5);
  const auto threads = at::get_num_threads();
  for (const int count : {1, 2, 3, 7}) {
    at::set_num_threads(count);
    check_winograd({{32, 32}, 112, 1, 2, 2, {3, 3}, shape_of(1, 1), true, true, false, true});
    check_winograd({{64}, 32, 2, 9, 20, {3, 3}, shape_of(1, 1), false, false, true, true});
    check_winograd({{272, 32}, 528, 1, 20, 20, {3, 3}, shape_of(0, 1), false, false, false, false});
    check_winograd({{64}, 1200, 1, 8, 8, {3, 3}, shape_of(1, 0), true, false, true, false});
  }
  at::set_num_threads(threads);
}

TEST_CASE("Winograd's convolution: whole numbers stay whole") {
  // Sums of these are exact in float32, also between the transforms.
  torch::manual_seed(6);
  const auto weight = 4 * torch::randint(-8, 8, {32, 48, 3, 3}).to(at::kFloat);
  const auto input = rows(torch::randint(-8, 8, {2, 48, 11, 6}).to(at::kFloat));
  auto convolution = WinogradConvolution::make(weight, {}, shape_of(1, 1));
  if (!convolution) return;
  EXPECT(at::equal(convolution->run({input}, {}).value(), at::conv2d(input, weight, {}, {1, 1}, {1, 1})));
}

TEST_CASE("Winograd's convolution: NaN stays NaN, within its image") {
  if (!tile_product()) return;
  auto input = rows(torch::zeros({2, 32, 6, 20}));
  input[1][5][2][4] = std::numeric_limits<float>::quiet_NaN();
  auto convolution = WinogradConvolution::make(torch::ones({32, 32, 3, 3}), {}, shape_of(1, 1)).value();
  const ChannelAffine before{torch::ones({32}), -torch::ones({32}), true};
  const auto found = convolution.run({input}, {&before, nullptr, true}).value();
  EXPECT(found[1].slice(1, 1, 4).slice(2, 3, 6).isnan().all().item<bool>());
  EXPECT(!found[0].isnan().any().item<bool>());
}

TEST_CASE("Winograd's convolution: other convolutions and inputs are left to other kernels") {
  const auto weight = torch::randn({32, 32, 3, 3});
  EXPECT(!WinogradConvolution::make(weight.to(at::kDouble), {}, shape_of(1, 1)));
  EXPECT(!WinogradConvolution::make(torch::randn({32, 32, 1, 1}), {}, shape_of(0, 0)));
  EXPECT(!WinogradConvolution::make(torch::randn({32, 32, 3, 1}), {}, shape_of(1, 0)));
  EXPECT(!WinogradConvolution::make(torch::randn({32, 32, 5, 5}), {}, shape_of(2, 2)));
  EXPECT(!WinogradConvolution::make(torch::randn({32, 40, 3, 3}).slice(1, 0, 36), {}, shape_of(1, 1)));
  EXPECT(!WinogradConvolution::make(torch::randn({36, 32, 3, 3}), {}, shape_of(1, 1)));
  EXPECT(!WinogradConvolution::make(weight, {}, {{2, 2}, {1, 1}, {1, 1}, 1}));
  EXPECT(!WinogradConvolution::make(weight, {}, {{1, 1}, {1, 1}, {2, 1}, 1}));
  EXPECT(!WinogradConvolution::make(weight, {}, {{1, 1}, {1, 1}, {1, 1}, 2}));
  auto convolution = WinogradConvolution::make(weight, {}, shape_of(1, 1));
  if (!convolution) return;
  const auto input = rows(torch::randn({2, 32, 5, 6}));
  EXPECT(convolution->run({input}, {}).has_value());
  EXPECT(!convolution->run({input.contiguous()}, {}));
  EXPECT(!convolution->run({rows(input.slice(1, 0, 20)), rows(input.slice(1, 20, 32))}, {}));
  EXPECT(!convolution->run({input.slice(0, 0, 0)}, {}));
  const auto narrow = rows(torch::randn({2, 32, 5, 1}));
  EXPECT(!convolution->run({input}, {nullptr, &narrow, false}));
  // Of so few pixels and so large a weight, another kernel is faster.
  auto large = WinogradConvolution::make(torch::randn({512, 512, 3, 3}), {}, shape_of(1, 1)).value();
  EXPECT(!large.run({rows(torch::randn({1, 512, 7, 7}))}, {}));
  EXPECT(large.run({rows(torch::randn({2, 512, 7, 7}))}, {}).has_value());
}

TEST_CASE("Winograd's convolution: gradients at its input, as LibTorch's in float64") {
  torch::manual_seed(7);
  const auto weight = torch::randn({48, 32, 3, 3});
  const auto convolution = c10::make_intrusive<FixedConvolution>(weight, std::nullopt, shape_of(1, 0), /*relu=*/true);
  auto input = rows(torch::randn({2, 32, 9, 12})).requires_grad_();
  const auto output = fixed_convolution(convolution, input);
  const auto above = torch::randn(output.sizes());
  const auto found = torch::autograd::grad({output}, {input}, {above})[0];
  auto exact = input.detach().to(at::kDouble).requires_grad_();
  const auto expected =
      torch::autograd::grad({at::conv2d(exact, weight.to(at::kDouble), {}, {1, 1}, at::IntArrayRef{1, 0}).relu()},
                            {exact}, {above.to(at::kDouble)})[0];
  EXPECT(at::allclose(found.to(at::kDouble), expected, 1e-4, 1e-4));
}

}  // namespace gradcam::test
