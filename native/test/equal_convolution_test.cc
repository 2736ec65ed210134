// Convolutions that are to return LibTorch's bits, beside LibTorch.
#include "core/kernels/equal_convolution.h"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/script.h>

#include "check.h"
#include "core/autograd/gated_convolution.h"
#include "core/kernels/tile_product.h"

namespace gradcam::test {

namespace {

struct EqualCase {
  int64_t inputs, outputs, batch, height, width;
  std::vector<int64_t> kernel, stride, padding, dilation;
  bool bias;
};

std::string text_of(const EqualCase& c) {
  std::ostringstream text;
  text << c.inputs << " to " << c.outputs << " channels, " << c.batch << "x" << c.height << "x" << c.width
       << ", kernel " << c.kernel << ", stride " << c.stride << ", padding " << c.padding << ", dilation " << c.dilation
       << ", bias " << c.bias;
  return text.str();
}

const std::vector<EqualCase>& equal_cases() {
  static const std::vector<EqualCase> all{
      {64, 128, 2, 28, 28, {1, 1}, {1, 1}, {0, 0}, {1, 1}, false},
      {512, 128, 2, 14, 14, {1, 1}, {1, 1}, {0, 0}, {1, 1}, false},
      {992, 128, 1, 7, 7, {1, 1}, {1, 1}, {0, 0}, {1, 1}, true},
      {256, 64, 3, 28, 20, {1, 1}, {2, 2}, {0, 0}, {1, 1}, false},
      {128, 32, 2, 28, 28, {3, 3}, {1, 1}, {1, 1}, {1, 1}, false},
      {128, 32, 8, 7, 7, {3, 3}, {1, 1}, {1, 1}, {1, 1}, false},
      {48, 64, 2, 31, 17, {3, 3}, {1, 1}, {1, 1}, {1, 1}, true},
      {64, 64, 2, 30, 30, {3, 3}, {2, 2}, {1, 1}, {1, 1}, false},
      {32, 48, 2, 24, 24, {3, 3}, {1, 1}, {2, 2}, {2, 2}, true},
      {32, 64, 2, 20, 20, {5, 5}, {1, 1}, {2, 2}, {1, 1}, true},
      {32, 64, 2, 20, 20, {1, 7}, {1, 1}, {0, 3}, {1, 1}, false},
      {20, 24, 2, 20, 20, {3, 3}, {1, 1}, {1, 1}, {1, 1}, true},
      {16, 16, 1, 5, 6, {3, 3}, {1, 1}, {0, 0}, {1, 1}, false},
  };
  return all;
}

// Runs `check` with one thread and with two, by which LibTorch picks other kernels.
template <typename Check>
void with_threads(const Check& check) {
  const auto before = at::get_num_threads();
  for (const int threads : {1, 2}) {
    at::set_num_threads(threads);
    check();
  }
  at::set_num_threads(before);
}

c10::intrusive_ptr<EqualConvolution> make_equal(const EqualCase& c, torch::Tensor& weight,
                                                std::optional<torch::Tensor>& bias) {
  weight = torch::randn({c.outputs, c.inputs, c.kernel[0], c.kernel[1]});
  if (c.bias) bias = torch::randn({c.outputs});
  return c10::make_intrusive<EqualConvolution>(weight, bias, ConvolutionShape{c.stride, c.padding, c.dilation, 1});
}

void expect_same_bits(const torch::Tensor& found, const torch::Tensor& expected, const EqualCase& c, const char* what) {
  if (found.is_contiguous(at::MemoryFormat::ChannelsLast) && at::equal(found, expected)) return;
  std::ostringstream text;
  text << what << ": " << text_of(c) << ", threads " << at::get_num_threads() << ": "
       << (found != expected).sum().item<int64_t>() << " of " << expected.numel() << " differ, by "
       << (found - expected).abs().max().item<double>();
  fail(__LINE__, text.str());
}

}  // namespace

TEST_CASE("equal convolution: the bits of LibTorch's, in the first runs and in later ones") {
  torch::manual_seed(1);
  const torch::NoGradGuard no_graph;
  int64_t served = 0, all = 0;
  with_threads([&] {
    for (const auto& c : equal_cases()) {
      torch::Tensor weight;
      std::optional<torch::Tensor> bias;
      const auto convolution = make_equal(c, weight, bias);
      for (int64_t i = 0; i < 4; ++i) {
        const auto input = torch::randn({c.batch, c.inputs, c.height, c.width});
        const auto expected = at::conv2d(input, weight, bias, c.stride, c.padding, c.dilation);
        // In either layout.
        const auto given = i == 1 ? input : input.contiguous(at::MemoryFormat::ChannelsLast);
        expect_same_bits(convolution->run(given), expected, c, "another result than LibTorch's");
      }
      served += convolution->has_own_kernels(c.batch, c.height, c.width) ? 1 : 0;
      ++all;
    }
  });
  // Which ones are served depends on the processor. LibTorch has no order that is known where it does without oneDNN.
  if (tile_product() && at::hasMKLDNN()) EXPECT(2 * served > all);
}

TEST_CASE("equal convolution: an input from which the order cannot be told is LibTorch's, and the next tells it") {
  torch::manual_seed(2);
  const torch::NoGradGuard no_graph;
  const auto& c = equal_cases()[4];
  torch::Tensor weight;
  std::optional<torch::Tensor> bias;
  const auto convolution = make_equal(c, weight, bias);
  const auto zeros = at::zeros({c.batch, c.inputs, c.height, c.width});
  for (int64_t i = 0; i < 3; ++i)
    expect_same_bits(convolution->run(zeros), at::conv2d(zeros, weight, bias, c.stride, c.padding), c, "zeros");
  EXPECT(!convolution->has_own_kernels(c.batch, c.height, c.width));
  for (int64_t i = 0; i < 2; ++i) {
    const auto input = torch::randn_like(zeros);
    expect_same_bits(convolution->run(input), at::conv2d(input, weight, bias, c.stride, c.padding), c, "numbers");
  }
}

TEST_CASE("equal convolution: sizes that come once have no order looked for, those that come again have one") {
  torch::manual_seed(5);
  const torch::NoGradGuard no_graph;
  const auto& c = equal_cases()[4];
  torch::Tensor weight;
  std::optional<torch::Tensor> bias;
  const auto convolution = make_equal(c, weight, bias);
  const auto run = [&](EqualConvolution& runner, int64_t height) {
    const auto input = torch::randn({c.batch, c.inputs, height, c.width});
    expect_same_bits(runner.run(input), at::conv2d(input, weight, bias, c.stride, c.padding), c, "a size");
  };
  for (int64_t height = 10; height < 90; ++height) {
    run(*convolution, height);
    EXPECT(!convolution->has_own_kernels(c.batch, height, c.width));
  }
  // Not in a row: as images of some sizes come in a batch job.
  for (const int64_t height : {88, 89, 88, 89}) run(*convolution, height);
  for (const int64_t height : {88, 89}) {
    EqualConvolution alone(weight, bias, ConvolutionShape{c.stride, c.padding, c.dilation, 1});
    for (int64_t i = 0; i < 2; ++i) run(alone, height);
    EXPECT_EQUAL(convolution->has_own_kernels(c.batch, height, c.width),
                 alone.has_own_kernels(c.batch, height, c.width));
  }
}

TEST_CASE("gated convolution: the bits of LibTorch's operators, and the gradient of its graph") {
  torch::manual_seed(3);
  with_threads([&] {
    for (const auto& c : equal_cases()) {
      torch::Tensor weight;
      std::optional<torch::Tensor> bias;
      const auto convolution = make_equal(c, weight, bias);
      for (const bool normalised : {true, false}) {
        Gate gate;
        if (normalised)
          gate.norm = {torch::randn({c.inputs}), torch::randn({c.inputs}), torch::randn({c.inputs}),
                       torch::rand({c.inputs}) + 0.5, 1e-5};
        const auto gated = GatedConvolution::make(gate, convolution);
        if (!gated) {
          // Only these need the convolution's input for the gradient.
          EXPECT(!tile_product() || !convolution->has_adjoint());
          continue;
        }
        const auto first = c.inputs / 2 / 8 * 8;
        for (int64_t i = 0; i < 4; ++i) {
          std::vector<torch::Tensor> inputs{torch::randn({c.batch, first, c.height, c.width}),
                                            torch::randn({c.batch, c.inputs - first, c.height, c.width})};
          for (auto& input : inputs) input = input.contiguous(at::MemoryFormat::ChannelsLast).requires_grad_();
          auto x = at::cat(inputs, 1).contiguous();
          if (normalised)
            x = at::batch_norm(x, gate.norm.weight, gate.norm.bias, gate.norm.mean, gate.norm.variance, false, 0,
                               gate.norm.epsilon, false);
          const auto expected = at::conv2d(x.relu(), weight, bias, c.stride, c.padding, c.dilation);
          const auto found = GatedConvolution::apply(gated, inputs);
          expect_same_bits(found.detach(), expected.detach(), c, normalised ? "normalised" : "not normalised");
          const auto above = torch::randn_like(expected);
          const auto right = torch::autograd::grad({expected}, inputs, {above});
          const auto own = torch::autograd::grad({found}, inputs, {above});
          for (size_t k = 0; k < inputs.size(); ++k)
            if ((own[k] - right[k]).abs().max().item<double>() > 1e-5 * right[k].abs().max().item<double>())
              fail(__LINE__, "another gradient: " + text_of(c));
        }
      }
    }
  });
}

TEST_CASE("gated convolution: rules of guided backprop and deconvnet, and inputs that need no gradient") {
  torch::manual_seed(4);
  const auto& c = equal_cases()[0];
  torch::Tensor weight;
  std::optional<torch::Tensor> bias;
  const auto convolution = make_equal(c, weight, bias);
  Gate gate;
  gate.of_module = true;
  const auto gated = GatedConvolution::make(gate, convolution);
  if (!gated) return;
  const auto input = torch::randn({c.batch, c.inputs, c.height, c.width});
  const auto above = torch::randn({c.batch, c.outputs, c.height, c.width});
  const auto at_relu =
      at::conv_transpose2d(above, weight).contiguous(at::MemoryFormat::ChannelsLast);  // stride 1, kernel 1
  const auto close = [](const torch::Tensor& a, const torch::Tensor& b) {
    return (a - b).abs().max().item<double>() <= 1e-5 * b.abs().max().item<double>();
  };
  for (const auto rule : {ReluRule::guided, ReluRule::deconvnet}) {
    const auto leaf = input.detach().clone().requires_grad_();
    const auto output = GatedConvolution::apply(gated, {leaf});
    const auto node = output.grad_fn();
    auto* own = dynamic_cast<OwnRelu*>(node.get());
    EXPECT(own && own->of_module());
    if (own) own->follow(rule);
    const auto found = torch::autograd::grad({output}, {leaf}, {above}).front();
    auto expected = at_relu.clamp_min(0);
    if (rule == ReluRule::guided) expected = expected * (input > 0);
    EXPECT(close(found, expected));
  }
  const torch::NoGradGuard no_graph;
  EXPECT(!GatedConvolution::apply(gated, {input}).requires_grad());
}

}  // namespace gradcam::test
