// Operators that keep less for the gradient than LibTorch's own, beside those.
#include <torch/csrc/autograd/function.h>

#include <array>
#include <limits>

#include "check.h"
#include "core/autograd/batch_norm_node.h"
#include "core/autograd/max_pool.h"
#include "core/autograd/relu_node.h"

namespace gradcam::test {

namespace {

constexpr auto kNotANumber = std::numeric_limits<float>::quiet_NaN();

// Some of the numbers are zero, minus zero or NaN.
Tensor special_numbers(at::IntArrayRef sizes, at::ScalarType dtype = at::kFloat) {
  auto made = torch::randn(sizes);
  auto flat = made.view(-1);
  const std::array<float, 3> special{0, -0.0F, kNotANumber};
  for (int64_t i = 0; i < flat.numel(); i += 5) flat[i] = special.at(static_cast<size_t>(i / 5) % 3);
  return made.to(dtype);
}

std::vector<Tensor> relu_inputs() {
  torch::manual_seed(8);
  return {special_numbers({2, 5, 7, 3}),
          special_numbers({2, 16, 9, 9}).contiguous(at::MemoryFormat::ChannelsLast),
          special_numbers({3, 130, 61, 9}),  // more than one thread's share
          special_numbers({4, 33}),
          special_numbers({17}),
          special_numbers({2, 6, 8, 8}).slice(3, 0, 8, 2),  // not dense
          special_numbers({2, 5, 7, 3}, at::kDouble),
          torch::empty({0, 4, 2, 2})};
}

bool same_or_nan(const Tensor& a, const Tensor& b) {
  return a.sizes() == b.sizes() && at::equal(a.isnan(), b.isnan()) && at::equal(a.nan_to_num(7), b.nan_to_num(7));
}

// What the rules say, in LibTorch's own operators: NaN passes.
Tensor expected_gradient(const Tensor& input, const Tensor& above, std::optional<ReluRule> rule) {
  auto gradient = above;
  if (rule != ReluRule::deconvnet) gradient = gradient.masked_fill(input <= 0, 0);
  if (rule) gradient = gradient.masked_fill(gradient <= 0, 0);
  return gradient;
}

struct RecordedRelu {
  Tensor leaf, result;
};

RecordedRelu record_relu(const Tensor& input, bool in_place) {
  RecordedRelu made{input.detach().clone().requires_grad_(), {}};
  made.result = masked_relu(in_place ? made.leaf.clone() : made.leaf, in_place, /*of_module=*/true);
  return made;
}

using WeakStorage = c10::weak_intrusive_ptr<c10::StorageImpl>;
WeakStorage memory_of(const Tensor& tensor) { return tensor.storage().getWeakStorageImpl(); }

}  // namespace

TEST_CASE("masked ReLU: result and gradient of LibTorch's, in every layout and dtype, in place or not") {
  for (const auto& input : relu_inputs())
    for (const bool in_place : {false, true}) {
      const auto [leaf, result] = record_relu(input, in_place);
      EXPECT(same_or_nan(result.detach(), at::relu(input)));
      EXPECT(result.strides() == at::relu(input).strides());
      const auto above = torch::randn_like(result.detach());
      const auto found = torch::autograd::grad({result}, {leaf}, {above}).front();
      EXPECT(same_or_nan(found, expected_gradient(input, above, {})));
    }
}

TEST_CASE("masked ReLU: the rules, where the gradient has the layout of the result and where it does not") {
  for (const auto& input : relu_inputs())
    for (const auto rule : {ReluRule::guided, ReluRule::deconvnet})
      for (const bool turned : {false, true}) {
        const auto [leaf, result] = record_relu(input, /*in_place=*/false);
        auto* own = dynamic_cast<OwnRelu*>(result.grad_fn().get());
        if (!own) continue;  // LibTorch's, for which ReluRuler has a rule
        EXPECT(own->of_module());
        own->follow(rule);
        auto above = special_numbers(input.sizes());
        if (turned && input.dim() == 4) above = above.transpose(2, 3).contiguous().transpose(2, 3);
        const auto found = torch::autograd::grad({result}, {leaf}, {above}).front();
        EXPECT(same_or_nan(found, expected_gradient(input, above, rule)));
      }
}

TEST_CASE("masked ReLU in place: other names of the tensor, views of it and leaves are as with LibTorch") {
  torch::manual_seed(9);
  const auto input = torch::randn({2, 6, 4, 4});
  const auto weight = torch::randn_like(input);
  const auto gradient_of = [&](const std::function<Tensor(Tensor)>& relu, bool of_view) {
    const auto leaf = input.clone().requires_grad_();
    const auto base = leaf * 1;
    const auto given = of_view ? base.slice(1, 0, 3) : base;
    relu(given);
    return torch::autograd::grad({(base * weight).sum()}, {leaf}).front();
  };
  for (const bool of_view : {false, true})
    EXPECT(at::equal(gradient_of([](Tensor t) { return masked_relu(t, true, false); }, of_view),
                     gradient_of([](Tensor t) { return t.relu_(); }, of_view)));
  const auto leaf = input.clone().requires_grad_();
  EXPECT_THROWS(c10::Error, masked_relu(leaf, true, false), "leaf Variable");
  // What another operator keeps has changed: LibTorch notices by the tensor's version.
  const auto kept = input.clone().requires_grad_();
  const auto base = kept * 1;
  const auto square = base * base;
  masked_relu(base, true, false);
  EXPECT_THROWS(c10::Error, torch::autograd::grad({square.sum()}, {kept}), "modified by an inplace operation");
}

TEST_CASE("masked ReLU, batch norm and max-pooling keep no memory of their inputs and results") {
  torch::manual_seed(10);
  const auto leaf = torch::randn({2, 16, 12, 12}).requires_grad_();
  const auto vector = [] { return torch::rand({16}) + 0.5; };
  const BatchNormConstants constants{vector(), vector(), vector(), vector(), 1e-5};
  auto made = leaf + 1;
  const auto before_norm = memory_of(made);
  made = fixed_statistics_batch_norm(made, constants);
  const auto before_relu = memory_of(made);
  made = masked_relu(made, false, false);
  const auto before_pool = memory_of(made);
  made = max_pool(made, {3, 3}, {2, 2}, {1, 1}, {1, 1}, false);
  EXPECT(before_norm.expired());
  EXPECT(before_relu.expired());
  EXPECT(before_pool.expired());

  const auto other = leaf.detach().clone().requires_grad_();
  const auto expected = at::max_pool2d(at::batch_norm(other + 1, constants.weight, constants.bias, constants.mean,
                                                      constants.variance, false, 0, constants.epsilon, false)
                                           .relu(),
                                       {3, 3}, {2, 2}, {1, 1});
  EXPECT(at::equal(made.detach(), expected.detach()));
  const auto above = torch::randn_like(expected.detach());
  const auto found = torch::autograd::grad({made}, {leaf}, {above}).front();
  EXPECT(at::equal(found, torch::autograd::grad({expected}, {other}, {above}).front()));
  EXPECT_THROWS(c10::Error, torch::autograd::grad({made}, {leaf}, {above}), "a second time");
}

TEST_CASE("batch norm that keeps no input: without weights, in another dtype, and without a graph") {
  torch::manual_seed(11);
  const auto vector = [] { return torch::rand({6}) + 0.5; };
  for (const bool plain : {false, true})
    for (const auto dtype : {at::kFloat, at::kDouble}) {
      const auto of = [&](bool wanted) { return wanted ? vector().to(dtype) : Tensor(); };
      const BatchNormConstants constants{of(!plain), of(!plain), of(true), of(true), 1e-3};
      const auto input = torch::randn({3, 6, 5, 4}, dtype).contiguous(at::MemoryFormat::ChannelsLast);
      const auto libtorch = [&](const Tensor& x) {
        return at::batch_norm(x, constants.weight, constants.bias, constants.mean, constants.variance, false, 0,
                              constants.epsilon, false);
      };
      EXPECT(at::equal(fixed_statistics_batch_norm(input, constants), libtorch(input)));
      const auto leaf = input.clone().requires_grad_(), other = input.clone().requires_grad_();
      const auto above = torch::randn_like(input);
      const auto found = torch::autograd::grad({fixed_statistics_batch_norm(leaf, constants)}, {leaf}, {above}).front();
      EXPECT(at::equal(found, torch::autograd::grad({libtorch(other)}, {other}, {above}).front()));
    }
}

}  // namespace gradcam::test
