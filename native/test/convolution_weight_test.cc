// Weights that are made when they are packed, and batch norms that are folded into them.
#include "core/kernels/convolution_weight.h"

#include <torch/script.h>

#include "check.h"
#include "core/split/split.h"

namespace gradcam::test {

namespace {

namespace jit = torch::jit;

struct FoldCase {
  const char* name;
  bool folded;
  bool with_bias;
  int64_t groups;
  const char* code;  // of forward(self, x), with self.conv and self.norm
};

const FoldCase kFolds[] = {
    {"a batch norm", true, false, 1, "return self.norm.forward(self.conv.forward(x))"},
    {"the same with a bias and a ReLU", true, true, 1, "return torch.relu(self.norm.forward(self.conv.forward(x)))"},
    {"groups, and a check of the dimensions", true, true, 4,
     "y = self.conv.forward(x)\n    assert y.dim() == 4\n    return self.norm.forward(y)"},
    {"what else reads the convolution", false, true, 1,
     "y = self.conv.forward(x)\n    return self.norm.forward(y) + y"},
    {"something in between", false, true, 1, "return self.norm.forward(torch.relu(self.conv.forward(x)))"},
};

constexpr int64_t kFoldChannels = 32, kFoldOutputs = 64;

jit::Module folding_module(const FoldCase& c) {
  torch::manual_seed(8);
  jit::Module conv("Conv"), norm("Norm"), root("Root");
  const auto constant = [](jit::Module& module, const std::string& name, const torch::Tensor& value) {
    module.register_parameter(name, value.requires_grad_(false), /*is_buffer=*/false);
  };
  constant(conv, "weight", torch::randn({kFoldOutputs, kFoldChannels / c.groups, 3, 3}));
  constant(conv, "bias", torch::randn({kFoldOutputs}));
  conv.define("def forward(self, x):\n    return torch.conv2d(x, self.weight, " +
              std::string(c.with_bias ? "self.bias" : "None") + ", [1, 1], [1, 1], [1, 1], " +
              std::to_string(c.groups) + ")\n");
  for (const auto* name : {"weight", "bias", "mean"}) constant(norm, name, torch::randn({kFoldOutputs}));
  constant(norm, "variance", torch::rand({kFoldOutputs}) + 0.5);
  norm.define(
      "def forward(self, x):\n    return torch.batch_norm(x, self.weight, self.bias, self.mean, self.variance, False, "
      "0.1, 1e-5, True)\n");
  root.register_attribute("training", c10::BoolType::get(), false);
  root.register_module("conv", conv);
  root.register_module("norm", norm);
  root.define("def forward(self, x):\n    " + std::string(c.code) + "\n");
  return root;
}

}  // namespace

TEST_CASE("convolution weight: it is made each time, until it is kept") {
  torch::manual_seed(9);
  const auto own = torch::randn({6, 4, 3, 2}), factors = torch::randn({6});
  const ConvolutionWeight plain(own);
  EXPECT(plain.make().is_same(own));
  EXPECT(plain.keep().is_same(own));
  const auto scaled = ConvolutionWeight::scaled(own, factors);
  EXPECT(scaled.sizes() == own.sizes());
  EXPECT_EQUAL(scaled.numel(), own.numel());
  EXPECT(at::equal(scaled.make(), own * factors.view({6, 1, 1, 1})));
  EXPECT(!scaled.make().is_same(scaled.make()));
  const auto kept = scaled.keep();
  EXPECT(scaled.make().is_same(kept));
  EXPECT(at::equal(kept, own * factors.view({6, 1, 1, 1})));
}

TEST_CASE("convolution weight: the adjoint's is that of the gradient at the input") {
  torch::manual_seed(10);
  for (const int64_t groups : {1, 2}) {
    const auto own = torch::randn({6, 4, 3, 5}, at::kDouble), factors = torch::randn({6}, at::kDouble);
    const auto weight = ConvolutionWeight::scaled(own, factors);
    const auto adjoint = weight.adjoint(groups);
    const auto input = torch::randn({2, 4 * groups, 7, 9}, at::kDouble).requires_grad_();
    const auto output = at::conv2d(input, weight.make(), {}, 1, at::IntArrayRef{1, 2}, 1, groups);
    const auto gradient = torch::randn_like(output);
    output.backward(gradient);
    const auto made = adjoint.make();
    EXPECT(made.sizes() == adjoint.sizes());
    EXPECT(at::allclose(at::conv2d(gradient, made, {}, 1, at::IntArrayRef{1, 2}, 1, groups), input.grad()));
  }
}

TEST_CASE("convolution weight: a split model folds batch norms and takes the model's own weights") {
  for (const auto& c : kFolds) {
    auto module = folding_module(c);
    const auto x = torch::randn({2, kFoldChannels, 8, 9}).contiguous(at::MemoryFormat::ChannelsLast);
    const auto expected = module.forward({x}).toTensor();
    const auto split = SplitModel::build(module.clone(), {});
    const auto weight = module.attr("conv").toModule().attr("weight").toTensor();
    // At most the packed weight, which Winograd's method makes larger, and what there is of each channel.
    const auto most = weight.nbytes() * 16 / 9 + 5 * 4 * kFoldOutputs;
    if (c.folded && split->own_bytes() > most)
      fail(__LINE__,
           std::string(c.name) + ": it has other weights of " + std::to_string(split->own_bytes()) + " bytes");
    for (int run = 0; run < 2; ++run) {
      const auto found = split->run_head({x}, nullptr).values.at(0).toTensor();
      const auto off = (found - expected).abs().max().item<double>() / expected.abs().max().item<double>();
      if (!(off < 1e-5)) fail(__LINE__, std::string(c.name) + ": " + std::to_string(off) + " off");
    }
  }
}

}  // namespace gradcam::test
