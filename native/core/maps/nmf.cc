#include "nmf.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace gradcam {

namespace {

using torch::Tensor;

constexpr int64_t kMostRounds = 200;
constexpr double kEnough = 1e-4;
constexpr double kZeroBelow = 1e-6;  // what is below it in the first factors is zero

// One pair of singular vectors without their negative part, or without their positive one: that with the larger
// product.
NonnegativeFactors positive_part(const Tensor& u, const Tensor& v, const Tensor& value) {
  const auto norm = [](const Tensor& a) { return a.norm(); };
  const auto up = u.clamp_min(0), vp = v.clamp_min(0), un = u.neg().clamp_min(0), vn = v.neg().clamp_min(0);
  const auto positive = norm(up) * norm(vp), negative = norm(un) * norm(vn);
  const bool is_positive = positive.item<double>() > negative.item<double>();
  const auto &a = is_positive ? up : un, &b = is_positive ? vp : vn;
  const auto scale = (value * (is_positive ? positive : negative)).sqrt();
  return {scale * a / norm(a), scale * b / norm(b)};
}

NonnegativeFactors first_factors(const Tensor& x, int64_t factors) {
  const auto [u, s, vt] = at::linalg_svd(x, /*full_matrices=*/false);
  std::vector<Tensor> w, h;
  for (int64_t j = 0; j < factors; ++j) {
    // The first pair has one sign.
    auto part = j == 0 ? NonnegativeFactors{s[0].sqrt() * u.select(1, 0).abs(), s[0].sqrt() * vt[0].abs()}
                       : positive_part(u.select(1, j), vt[j], s[j]);
    w.push_back(part.w);
    h.push_back(part.h);
  }
  const auto mean = x.mean();
  const auto filled = [&](const Tensor& a) {
    const auto known = a.nan_to_num(0);  // of a pair of zeros
    return at::where(known.lt(kZeroBelow), mean, known).contiguous();
  };
  return {filled(at::stack(w, 1)), filled(at::stack(h, 1))};
}

// Moves each column of `w` [n, factors] to where the error is least while all else stays. `gram`: [factors, factors] of
// the other factor, `product`: [n, factors] of x and the other. Returns the sum of the projected gradients.
double descend(Tensor& w, const Tensor& gram, const Tensor& product) {
  const auto factors = w.size(1), n = w.size(0);
  auto values = w.accessor<double, 2>();
  const auto g = gram.accessor<double, 2>(), p = product.accessor<double, 2>();
  double violation = 0;
  for (int64_t t = 0; t < factors; ++t)
    for (int64_t i = 0; i < n; ++i) {
      double gradient = -p[i][t];
      for (int64_t r = 0; r < factors; ++r) gradient += g[t][r] * values[i][r];
      violation += std::abs(values[i][t] == 0 ? std::min(0.0, gradient) : gradient);
      if (g[t][t] != 0) values[i][t] = std::max(values[i][t] - gradient / g[t][t], 0.0);
    }
  return violation;
}

}  // namespace

NonnegativeFactors nonnegative_factors(const Tensor& x, int64_t factors, const CancelFlag* cancel) {
  auto found = first_factors(x, factors);
  auto &w = found.w, &h = found.h;  // h as [columns, factors] until the end
  const auto xt = x.t().contiguous();
  double first = 0;
  for (found.rounds = 1; found.rounds <= kMostRounds; ++found.rounds) {
    if (cancel) cancel->check();
    auto violation = descend(w, h.t().mm(h), x.mm(h));
    violation += descend(h, w.t().mm(w), xt.mm(w));
    if (found.rounds == 1) first = violation;
    if (violation <= kEnough * first) break;
  }
  found.rounds = std::min(found.rounds, kMostRounds);
  h = h.t().contiguous();
  return found;
}

}  // namespace gradcam
