#include "grid_system.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"

namespace gradcam {

namespace {

// The steps to the neighbours in the order of GridMatrix::coupling.
constexpr int kDown[] = {0, 1, 1, 1}, kRight[] = {1, -1, 0, 1};

// The one or two coarse positions that a fine one takes its value from. Coarse positions lie on the even fine ones;
// after the last of them the value is constant.
struct Parents {
  int64_t first;
  int count;
  double weight;
};
Parents parents_of(int64_t fine, int64_t coarse) {
  if (fine % 2 == 0) return {fine / 2, 1, 1};
  if (fine / 2 + 1 >= coarse) return {fine / 2, 1, 1};
  return {fine / 2, 2, 0.5};
}

template <typename Visit>
void for_parents(int64_t y, int64_t x, const GridMatrix& coarse, Visit&& visit) {
  const auto rows = parents_of(y, coarse.height), columns = parents_of(x, coarse.width);
  for (int r = 0; r < rows.count; ++r)
    for (int c = 0; c < columns.count; ++c) visit(rows.first + r, columns.first + c, rows.weight * columns.weight);
}

template <typename Visit>
void for_present(const GridMatrix& m, Visit&& visit) {
  for (int64_t y = 0; y < m.height; ++y)
    for (int64_t x = 0; x < m.width; ++x)
      if (const auto i = m.at(y, x); m.diagonal[i] > 0) visit(y, x, i);
}

// P^T A P, where P is the prolongation. It couples neighbours only, as A does.
GridMatrix galerkin(const GridMatrix& fine) {
  GridMatrix coarse((fine.height + 1) / 2, (fine.width + 1) / 2);
  // What a pair of fine cells contributes: `value` is its entry in A.
  const auto add = [&](int64_t y, int64_t x, int64_t ny, int64_t nx, double value, bool both_ways) {
    for_parents(y, x, coarse, [&](int64_t ay, int64_t ax, double a) {
      for_parents(ny, nx, coarse, [&](int64_t by, int64_t bx, double b) {
        const double entry = a * b * value;
        const auto down = by - ay, right = bx - ax;
        if (down == 0 && right == 0) {
          coarse.diagonal[coarse.at(ay, ax)] += both_ways ? 2 * entry : entry;
          return;
        }
        const bool ahead = down > 0 || (down == 0 && right > 0);
        if (!ahead && !both_ways) return;  // its twin is ahead
        const auto from = ahead ? coarse.at(ay, ax) : coarse.at(by, bx);
        const auto sideways = ahead ? right : -right;
        coarse.coupling[from][down == 0 ? 0 : static_cast<size_t>(sideways + 2)] -= entry;
      });
    });
  };
  for_present(fine, [&](int64_t y, int64_t x, size_t i) {
    add(y, x, y, x, fine.diagonal[i], false);
    for (size_t d = 0; d < 4; ++d)
      if (fine.coupling[i][d] != 0) add(y, x, y + kDown[d], x + kRight[d], -fine.coupling[i][d], true);
  });
  coarse.finish();
  return coarse;
}

void relax(const GridMatrix& m, const Field& b, Field& u, size_t i) {
  const auto sum = m.neighbours(u, i);
  for (size_t c = 0; c < kLanes; ++c) u[i][c] = (b[i][c] + sum[c]) * m.inverse[i];
}

void sweep(const GridMatrix& m, const Field& b, Field& u) {
  for (size_t i = m.at(0, 0), end = m.at(m.height - 1, m.width); i < end; ++i)
    if (m.diagonal[i] > 0) relax(m, b, u, i);
}

void sweep_back(const GridMatrix& m, const Field& b, Field& u) {
  for (size_t i = m.at(m.height - 1, m.width), end = m.at(0, 0); i-- > end;)
    if (m.diagonal[i] > 0) relax(m, b, u, i);
}

Lanes residual(const GridMatrix& m, const Field& b, const Field& u, size_t i) {
  auto value = m.neighbours(u, i);
  for (size_t c = 0; c < kLanes; ++c) value[c] += b[i][c] - m.diagonal[i] * u[i][c];
  return value;
}

Lanes dot(const Field& a, const Field& b) {
  Lanes sum{};
  for (size_t i = 0; i < a.size(); ++i)
    for (size_t c = 0; c < kLanes; ++c) sum[c] += a[i][c] * b[i][c];
  return sum;
}

}  // namespace

GridMatrix::GridMatrix(int64_t h, int64_t w)
    : height(h),
      width(w),
      stride(w + 2),
      diagonal(static_cast<size_t>((h + 2) * (w + 2))),
      inverse(diagonal.size()),
      coupling(diagonal.size()) {}

void GridMatrix::finish() {
  for (size_t i = 0; i < cells(); ++i) inverse[i] = diagonal[i] > 0 ? 1 / diagonal[i] : 0;
}

GridSolver::GridSolver(GridMatrix matrix) {
  matrix.finish();
  levels_.emplace_back(std::move(matrix));
  while (std::max(levels_.back().matrix.height, levels_.back().matrix.width) > 2)
    levels_.emplace_back(galerkin(levels_.back().matrix));
}

// The level's u becomes an approximation of A^-1 b.
void GridSolver::cycle(size_t at) {
  auto& [m, u, b] = levels_[at];
  std::fill(u.begin(), u.end(), Lanes{});
  if (at + 1 == levels_.size()) {
    // Four cells at most. Their matrix may be singular, where cells have the same few children, so no factors.
    for (int i = 0; i < 8; ++i) {
      sweep(m, b, u);
      sweep_back(m, b, u);
    }
    return;
  }
  sweep(m, b, u);
  auto& below = levels_[at + 1];
  std::fill(below.b.begin(), below.b.end(), Lanes{});
  for_present(m, [&](int64_t y, int64_t x, size_t i) {
    const auto rest = residual(m, b, u, i);
    for_parents(y, x, below.matrix, [&](int64_t cy, int64_t cx, double weight) {
      auto& target = below.b[below.matrix.at(cy, cx)];
      for (size_t c = 0; c < kLanes; ++c) target[c] += weight * rest[c];
    });
  });
  cycle(at + 1);
  for_present(m, [&](int64_t y, int64_t x, size_t i) {
    for_parents(y, x, below.matrix, [&](int64_t cy, int64_t cx, double weight) {
      const auto& source = below.u[below.matrix.at(cy, cx)];
      for (size_t c = 0; c < kLanes; ++c) u[i][c] += weight * source[c];
    });
  });
  sweep_back(m, b, u);
}

Field GridSolver::solve(const Field& b, const CancelFlag& cancel) {
  constexpr double kTolerance = 1e-10;
  constexpr int kMostSteps = 500;
  const auto& m = levels_.front().matrix;
  auto& z = levels_.front().u;
  auto& r = levels_.front().b;  // the cycle reads the residual in place
  r = b;
  cycle(0);
  Field u(m.cells()), p = z, q(m.cells());
  auto rz = dot(r, z);
  const auto start = rz;
  for (int step = 0; step < kMostSteps; ++step) {
    cancel.check();
    bool done = true;
    for (size_t c = 0; c < kLanes; ++c) done = done && !(std::sqrt(rz[c]) > kTolerance * std::sqrt(start[c]));
    if (done) return u;
    for_present(m, [&](int64_t, int64_t, size_t i) {
      const auto sum = m.neighbours(p, i);
      for (size_t c = 0; c < kLanes; ++c) q[i][c] = m.diagonal[i] * p[i][c] - sum[c];
    });
    const auto pq = dot(p, q);
    Lanes alpha;
    for (size_t c = 0; c < kLanes; ++c)
      alpha[c] = pq[c] > 0 ? rz[c] / pq[c] : 0;  // a lane that has converged, or is empty
    for (size_t i = 0; i < u.size(); ++i)
      for (size_t c = 0; c < kLanes; ++c) {
        u[i][c] += alpha[c] * p[i][c];
        r[i][c] -= alpha[c] * q[i][c];
      }
    cycle(0);
    const auto next = dot(r, z);
    for (size_t i = 0; i < u.size(); ++i)
      for (size_t c = 0; c < kLanes; ++c) p[i][c] = z[i][c] + (rz[c] > 0 ? next[c] / rz[c] : 0) * p[i][c];
    rz = next;
  }
  throw Error("ERR_TORCH",
              "The linear system of removed pixels was not solved: the image holds values that are not "
              "finite, or far too large.");
}

}  // namespace gradcam
