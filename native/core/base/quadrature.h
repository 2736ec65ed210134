#pragma once
#include <cstdint>
#include <utility>
#include <vector>

namespace gradcam {

// The points of Gauss-Legendre quadrature on [0, 1], ascending, each with its weight; the weights sum to 1. Exact for
// polynomials up to degree 2 count - 1.
std::vector<std::pair<double, double>> gauss_legendre(int64_t count);

}  // namespace gradcam
