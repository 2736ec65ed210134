#include "quadrature.h"

#include <cmath>
#include <numbers>

namespace gradcam {

namespace {

// The Legendre polynomial P_n and its derivative at x, by the three-term recurrence.
std::pair<double, double> legendre(int64_t n, double x) {
  double before = 1, value = x;
  for (int64_t k = 2; k <= n; ++k) {
    const auto next =
        (static_cast<double>(2 * k - 1) * x * value - static_cast<double>(k - 1) * before) / static_cast<double>(k);
    before = value;
    value = next;
  }
  return {value, static_cast<double>(n) * (before - x * value) / (1 - x * x)};
}

}  // namespace

// The points are the roots of P_n, found by Newton's method from Tricomi's approximation.
std::vector<std::pair<double, double>> gauss_legendre(int64_t count) {
  std::vector<std::pair<double, double>> points;
  const auto n = static_cast<double>(count);
  for (int64_t i = count; i >= 1; --i) {
    double x = std::cos(std::numbers::pi * (static_cast<double>(i) - 0.25) / (n + 0.5));
    double slope = 0;
    for (int step = 0; step < 100; ++step) {
      const auto [value, derivative] = legendre(count, x);
      slope = derivative;
      const auto change = value / derivative;
      x -= change;
      if (std::abs(change) <= 1e-16) break;
    }
    points.emplace_back((1 + x) / 2, 1 / ((1 - x * x) * slope * slope));
  }
  return points;
}

}  // namespace gradcam
