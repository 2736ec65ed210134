#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "core/base/cancel.h"

namespace gradcam {

// Several right-hand sides are solved at once: a pixel's values lie together, so that the matrix is read once for all.
constexpr int kLanes = 4;
using Lanes = std::array<double, kLanes>;
using Field = std::vector<Lanes>;

// A symmetric positive definite matrix over the cells of a grid, each coupled with its eight neighbours at most:
// (A u)_i = diagonal_i u_i - sum_j coupling_ij u_j. The grid has a border of absent cells one wide, whose diagonal is 0
// as that of every absent cell, and whose values stay 0.
struct GridMatrix {
  GridMatrix(int64_t height, int64_t width);
  int64_t height, width, stride;
  std::vector<double> diagonal, inverse;
  std::vector<std::array<double, 4>> coupling;  // of a cell with those to the east, south-west, south and south-east

  size_t cells() const { return diagonal.size(); }
  size_t at(int64_t y, int64_t x) const { return static_cast<size_t>((y + 1) * stride + x + 1); }
  void finish();  // to be called when the diagonal is complete

  // sum_j coupling_ij u_j
  Lanes neighbours(const Field& u, size_t i) const {
    const auto s = static_cast<size_t>(stride);
    const auto &own = coupling[i], &w = coupling[i - 1], &nw = coupling[i - s - 1], &n = coupling[i - s],
               &ne = coupling[i - s + 1];
    Lanes sum;
    for (size_t c = 0; c < kLanes; ++c)
      sum[c] = nw[3] * u[i - s - 1][c] + n[2] * u[i - s][c] + ne[1] * u[i - s + 1][c] + own[0] * u[i + 1][c] +
               own[1] * u[i + s - 1][c] + own[2] * u[i + s][c] + own[3] * u[i + s + 1][c] + w[0] * u[i - 1][c];
    return sum;
  }
};

// Solves A u = b by conjugate gradients, preconditioned by one multigrid V-cycle per step: bilinear prolongation
// without the absent cells, Galerkin coarse matrices, a Gauss-Seidel sweep before and one in reverse after. The number
// of steps then hardly depends on how large the holes are.
class GridSolver {
 public:
  explicit GridSolver(GridMatrix matrix);
  Field solve(const Field& b, const CancelFlag& cancel);

 private:
  struct Level {
    explicit Level(GridMatrix m) : matrix(std::move(m)), u(matrix.cells()), b(matrix.cells()) {}
    GridMatrix matrix;
    Field u, b;
  };
  void cycle(size_t level);

  std::vector<Level> levels_;
};

}  // namespace gradcam
