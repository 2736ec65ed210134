// Which graphs DeepLIFT's rescale rule accepts. What is accepted has to be affine in the input: f(x) = f(0) + J x, with
// J the dense matrix of values at unit vectors, found without autograd. What is refused here must not be.
#include "core/rescale/linear_graph.h"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/script.h>

#include <functional>

#include "check.h"
#include "core/base/error.h"
#include "core/rescale/recorder.h"

namespace gradcam::test {

namespace {

using TensorFunction = std::function<Tensor(const Tensor&)>;

struct Candidate {
  const char* name;
  TensorFunction apply;
};

Tensor seeded(at::IntArrayRef sizes, uint64_t seed) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  return at::randn(sizes, generator, at::TensorOptions().dtype(at::kDouble));
}

// [2, 3, 4, 4] in float64.
constexpr int64_t kSizes[] = {2, 3, 4, 4};
constexpr int64_t kElements = 96;

// Column i is f(e_i) - f(0).
Tensor dense_matrix(const TensorFunction& apply, const Tensor& at_zero) {
  std::vector<Tensor> columns;
  for (int64_t i = 0; i < kElements; ++i) {
    auto unit = at::zeros(kElements, at::kDouble);
    unit[i] = 1;
    columns.push_back((apply(unit.view(kSizes)) - at_zero).flatten());
  }
  return at::stack(columns, 1);
}

// Sums of at most a few hundred products in float64 are exact to about 1e-13; operators that are not affine are off by
// more than 1e-3 at random inputs.
bool close(const Tensor& a, const Tensor& b) { return at::allclose(a, b, 1e-9, 1e-9); }

struct Verdict {
  bool accepted, affine, right_gradient;
};

Verdict judge(const TensorFunction& apply) {
  const auto x = seeded(kSizes, 1).requires_grad_();
  const auto y = apply(x);
  const auto weights = seeded(y.sizes(), 2);
  const auto score = (y * weights).sum();
  Verdict verdict{true, false, false};
  try {
    require_linear_or_ruled(score);
  } catch (const Error& e) {
    EXPECT_EQUAL(e.code(), "ERR_ACTIVATION");
    verdict.accepted = false;
  }
  score.backward();
  const at::NoGradGuard no_graph;
  const auto at_zero = apply(at::zeros(kSizes, at::kDouble));
  const auto matrix = dense_matrix(apply, at_zero);
  verdict.affine = close(y.flatten(), at_zero.flatten() + matrix.mv(x.flatten()));
  verdict.right_gradient = close(x.grad().flatten(), matrix.t().mv(weights.flatten()));
  return verdict;
}

std::vector<Candidate> affine_candidates() {
  const auto kernel = seeded({5, 3, 3, 3}, 3), matrix = seeded({4, 6}, 4), like = seeded(kSizes, 5);
  const auto scale = seeded({3}, 6), shift = seeded({3}, 7), mean = seeded({3}, 8), variance = seeded({3}, 9).abs() + 1;
  const auto mask = like.gt(0);
  const auto index = torch::tensor({2, 0, 2}, at::kLong);
  return {
      {"convolution", [=](const Tensor& x) { return at::conv2d(x, kernel, Tensor(), 1, 1); }},
      {"transposed convolution", [=](const Tensor& x) { return at::conv_transpose2d(x, kernel.slice(0, 0, 3)); }},
      {"linear", [=](const Tensor& x) { return at::linear(x, matrix.t(), seeded({6}, 10)); }},
      {"matrix product, constant second", [=](const Tensor& x) { return at::matmul(x, matrix); }},
      {"matrix product, constant first", [=](const Tensor& x) { return at::matmul(matrix.t(), x); }},
      {"batch norm in eval mode",
       [=](const Tensor& x) { return at::batch_norm(x, scale, shift, mean, variance, false, 0.1, 1e-5, false); }},
      {"average pool", [](const Tensor& x) { return at::avg_pool2d(x, 2); }},
      {"adaptive average pool", [](const Tensor& x) { return at::adaptive_avg_pool2d(x, {3, 2}); }},
      {"concatenation with itself", [](const Tensor& x) { return at::cat({x, x * 2}, 1); }},
      {"stack", [](const Tensor& x) { return at::stack({x, -x}); }},
      {"slice, select and permutation",
       [](const Tensor& x) { return x.slice(2, 1, 3).select(0, 1).permute({2, 0, 1}); }},
      {"reshape and expand", [](const Tensor& x) { return x.reshape({6, 1, 16}).expand({6, 2, 16}); }},
      {"sum, mean and cumulative sum", [](const Tensor& x) { return x.cumsum(3).mean(1).sum(1); }},
      {"reflection padding", [](const Tensor& x) { return at::reflection_pad2d(x, {1, 2, 0, 1}); }},
      {"constant padding", [](const Tensor& x) { return at::constant_pad_nd(x, {1, 1}, 3); }},
      {"bilinear upsampling", [](const Tensor& x) { return at::upsample_bilinear2d(x, {7, 9}, false); }},
      {"nearest upsampling", [](const Tensor& x) { return at::upsample_nearest2d(x, {8, 8}); }},
      {"roll and flip", [](const Tensor& x) { return x.roll({1}, {2}).flip({3}); }},
      {"product with a constant", [=](const Tensor& x) { return x * like + 1; }},
      {"difference of two branches", [=](const Tensor& x) { return x * like - x; }},
      {"division by a number", [](const Tensor& x) { return x / 7; }},
      {"division by a constant tensor", [=](const Tensor& x) { return x / (like.abs() + 1); }},
      {"where with a constant mask", [=](const Tensor& x) { return at::where(mask, x, like); }},
      {"masked fill", [=](const Tensor& x) { return x.masked_fill(mask, 2); }},
      {"index select", [=](const Tensor& x) { return x.index_select(1, index); }},
  };
}

std::vector<Candidate> other_candidates() {
  const auto kernel = seeded({5, 3, 3, 3}, 3), scale = seeded({3}, 6), shift = seeded({3}, 7);
  return {
      {"square", [](const Tensor& x) { return x * x; }},
      {"product of two branches", [](const Tensor& x) { return x.select(1, 0) * x.select(1, 1); }},
      {"matrix product with itself", [](const Tensor& x) { return at::matmul(x, x.transpose(2, 3)); }},
      {"convolution with weights from the input",
       [](const Tensor& x) { return at::conv2d(x, x.slice(2, 0, 2).slice(3, 0, 2)); }},
      {"division by the input", [](const Tensor& x) { return 1 / (x.abs() + 1); }},
      {"division of the input by its norm", [](const Tensor& x) { return x / (x.norm() + 1); }},
      {"softmax", [](const Tensor& x) { return x.softmax(1); }},
      {"layer norm", [](const Tensor& x) { return at::layer_norm(x, {4}); }},
      {"batch norm of the batch's statistics",
       [=](const Tensor& x) { return at::batch_norm(x, scale, shift, {}, {}, true, 0.1, 1e-5, false); }},
      {"ReLU without a rule", [](const Tensor& x) { return x.relu(); }},
      {"ReLU deep in the graph", [=](const Tensor& x) { return at::conv2d(x * 2, kernel).relu().sum(1) / 3; }},
      {"sigmoid without a rule", [](const Tensor& x) { return x.sigmoid(); }},
      {"max pool without a rule", [](const Tensor& x) { return at::max_pool2d(x, 2); }},
      {"maximum over channels", [](const Tensor& x) { return x.amax(1); }},
  };
}

}  // namespace

TEST_CASE("linear graph: affine operators are accepted, and their gradient is the dense matrix's") {
  for (const auto& [name, apply] : affine_candidates()) {
    const auto verdict = judge(apply);
    if (!verdict.affine) fail(__LINE__, std::string(name) + " is not affine: it is a wrong example");
    if (!verdict.accepted) fail(__LINE__, std::string(name) + " is refused");
    if (!verdict.right_gradient) fail(__LINE__, std::string(name) + " has another gradient than its matrix");
  }
}

TEST_CASE("linear graph: operators that are not affine are refused") {
  for (const auto& [name, apply] : other_candidates()) {
    const auto verdict = judge(apply);
    if (verdict.affine) fail(__LINE__, std::string(name) + " is affine: it is a wrong example");
    if (verdict.accepted) fail(__LINE__, std::string(name) + " is accepted");
  }
}

TEST_CASE("linear graph: with rules, attributions add up to the difference of the scores") {
  const auto kernel = seeded({5, 3, 3, 3}, 11), second = seeded({4, 5, 2, 2}, 12);
  const auto x0 = seeded(kSizes, 13).requires_grad_(), x = seeded(kSizes, 14).requires_grad_();
  const auto net = [&](const Tensor& input) -> IValue {
    const auto first = at::max_pool2d(at::conv2d(input, kernel, Tensor(), 1, 1).relu(), 2);
    return at::conv2d(first.tanh(), second).sum();
  };
  RescaleRecorder recorder;
  const auto reference = recorder.at_baseline([&] { return net(x0); }).toTensor();
  const auto score = recorder.at_input([&] { return net(x); }).toTensor();
  EXPECT_EQUAL(recorder.rules(), 3);  // ReLU, max pool, tanh
  require_linear_or_ruled(score);
  score.backward();
  const auto sum = (x.grad() * (x - x0).detach()).sum();
  EXPECT(close(sum, (score - reference).detach()));
  // The plain gradient does not add up, so that the rules are what does it.
  const auto plain = seeded(kSizes, 14).requires_grad_();
  net(plain).toTensor().backward();
  EXPECT(!close((plain.grad() * (x - x0).detach()).sum(), (score - reference).detach()));
}

TEST_CASE("linear graph: two runs that call other operators are refused") {
  const auto x = seeded(kSizes, 15).requires_grad_();
  RescaleRecorder recorder;
  recorder.at_baseline([&] { return x.relu(); });
  EXPECT_THROWS(Error, recorder.at_input([&] { return x.tanh(); }), "calls tanh where the baseline's calls relu");
  RescaleRecorder longer;
  longer.at_baseline([&] { return x.relu(); });
  EXPECT_THROWS(Error, longer.at_input([&] { return x.relu().tanh(); }), "the input's calls more operators");
  RescaleRecorder random;
  random.at_baseline([&] { return x * seeded(kSizes, 16); });
  EXPECT_THROWS(Error, random.at_input([&] { return x * seeded(kSizes, 17); }), "drawn at random");
}

}  // namespace gradcam::test
