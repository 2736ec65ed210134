// The multigrid solver of ROAD against Gaussian elimination on the dense matrix.
#include "core/metrics/grid_system.h"

#include <algorithm>
#include <random>

#include "check.h"

namespace gradcam::test {

namespace {

using DenseMatrix = std::vector<std::vector<double>>;

// Solves A x = b with partial pivoting.
std::vector<double> eliminate(DenseMatrix a, std::vector<double> b) {
  const auto n = b.size();
  for (size_t column = 0; column < n; ++column) {
    size_t pivot = column;
    for (size_t row = column; row < n; ++row)
      if (std::abs(a[row][column]) > std::abs(a[pivot][column])) pivot = row;
    std::swap(a[column], a[pivot]);
    std::swap(b[column], b[pivot]);
    for (size_t row = column + 1; row < n; ++row) {
      const double factor = a[row][column] / a[column][column];
      if (factor == 0) continue;
      for (size_t i = column; i < n; ++i) a[row][i] -= factor * a[column][i];
      b[row] -= factor * b[column];
    }
  }
  std::vector<double> x(n);
  for (size_t row = n; row-- > 0;) {
    double sum = b[row];
    for (size_t i = row + 1; i < n; ++i) sum -= a[row][i] * x[i];
    x[row] = sum / a[row][row];
  }
  return x;
}

// A random system over the cells of a grid that are present, kept as a dense matrix of its own.
struct RandomSystem {
  RandomSystem(int64_t height, int64_t width, double present_share, unsigned seed)
      : random(seed), grid(height, width), number(grid.cells(), -1) {
    std::uniform_real_distribution<double> uniform(0, 1);
    for (int64_t y = 0; y < height; ++y)
      for (int64_t x = 0; x < width; ++x)
        if (uniform(random) < present_share) {
          number[grid.at(y, x)] = static_cast<int>(cells.size());
          cells.push_back(grid.at(y, x));
        }
    dense.assign(cells.size(), std::vector<double>(cells.size(), 0));
    for (int64_t y = 0; y < height; ++y)
      for (int64_t x = 0; x < width; ++x)
        if (number[grid.at(y, x)] >= 0) couple(y, x, height, width);
  }

  // Couples a cell with its neighbours to the east, south-west, south and south-east, as ROAD does by distance. A few
  // cells are tied to known values besides, which makes the matrix positive definite.
  void couple(int64_t y, int64_t x, int64_t height, int64_t width) {
    std::uniform_real_distribution<double> uniform(0, 1);
    const int64_t down[] = {0, 1, 1, 1}, right[] = {1, -1, 0, 1};
    const auto i = grid.at(y, x);
    const auto row = static_cast<size_t>(number[i]);
    const double known = uniform(random) < 0.3 || row == 0 ? 1 : 0.001;
    grid.diagonal[i] += known;
    dense[row][row] += known;
    for (size_t d = 0; d < 4; ++d) {
      const auto ny = y + down[d], nx = x + right[d];
      if (ny >= height || nx < 0 || nx >= width || number[grid.at(ny, nx)] < 0) continue;
      const auto j = grid.at(ny, nx);
      const auto column = static_cast<size_t>(number[j]);
      const double coupling = 0.1 + uniform(random);
      grid.coupling[i][d] = coupling;
      grid.diagonal[i] += coupling;
      grid.diagonal[j] += coupling;
      dense[row][column] = dense[column][row] = -coupling;
      dense[row][row] += coupling;
      dense[column][column] += coupling;
    }
  }

  std::mt19937 random;
  GridMatrix grid;
  std::vector<int> number;    // of each cell among those that are present, or -1
  std::vector<size_t> cells;  // that are present
  DenseMatrix dense;
};

// Conjugate gradients stop when the preconditioned residual is 1e-10 of its start. The condition of these matrices, up
// to about 1e4 (a cell's couplings against the 0.001 that ties it), bounds the error of the solution by 1e-10 * 1e2 in
// the energy norm and 1e-10 * 1e4 element by element.
constexpr double kTolerance = 1e-6;

void expect_dense_solution(int64_t height, int64_t width, double present_share, unsigned seed) {
  RandomSystem system(height, width, present_share, seed);
  const std::string name = std::to_string(height) + " x " + std::to_string(width) + ": ";
  std::normal_distribution<double> normal;
  Field b(system.grid.cells());
  for (const auto cell : system.cells)
    for (auto& value : b[cell]) value = normal(system.random);
  for (const auto cell : system.cells) b[cell][kLanes - 1] = 0;  // a lane without anything to solve
  GridSolver solver(system.grid);
  const auto u = solver.solve(b, CancelFlag());
  for (size_t lane = 0; lane < kLanes; ++lane) {
    std::vector<double> right;
    for (const auto cell : system.cells) right.push_back(b[cell][lane]);
    const auto expected = eliminate(system.dense, right);
    double largest = 0, error = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      largest = std::max(largest, std::abs(expected[i]));
      error = std::max(error, std::abs(u[system.cells[i]][lane] - expected[i]));
    }
    if (error > kTolerance * largest)
      fail(__LINE__, name + "the error is " + std::to_string(error) + " where values reach " + std::to_string(largest));
  }
  for (size_t i = 0; i < u.size(); ++i)
    if (system.number[i] < 0 && u[i] != Lanes{}) fail(__LINE__, name + "an absent cell has a value");
}

}  // namespace

TEST_CASE("grid system: all cells present, as the dense solution") {
  expect_dense_solution(1, 1, 1, 1);
  expect_dense_solution(1, 9, 1, 2);
  expect_dense_solution(8, 1, 1, 3);
  expect_dense_solution(2, 2, 1, 4);
  expect_dense_solution(5, 7, 1, 5);
  expect_dense_solution(16, 16, 1, 6);
}

TEST_CASE("grid system: with absent cells, as the dense solution") {
  expect_dense_solution(6, 6, 0.5, 7);
  expect_dense_solution(17, 13, 0.7, 8);
  expect_dense_solution(12, 31, 0.9, 9);
  expect_dense_solution(20, 20, 0.15, 10);  // mostly cells without a neighbour
}

TEST_CASE("grid system: a cancelled solve ends") {
  RandomSystem system(4, 4, 1, 11);
  Field b(system.grid.cells(), Lanes{1, 1, 1, 1});
  GridSolver solver(system.grid);
  CancelFlag cancel;
  cancel.cancel();
  EXPECT_THROWS(Cancelled, solver.solve(b, cancel), "cancelled");
}

}  // namespace gradcam::test
