#include "impute.h"

#include <algorithm>
#include <iterator>

#include "core/base/error.h"
#include "grid_system.h"

namespace gradcam {

namespace {

struct Neighbour {
  int64_t down, right;
  double weight;
};
constexpr Neighbour kNeighbours[] = {{0, 1, 1. / 6},  {1, -1, 1. / 12}, {1, 0, 1. / 6},  {1, 1, 1. / 12},
                                     {0, -1, 1. / 6}, {-1, 1, 1. / 12}, {-1, 0, 1. / 6}, {-1, -1, 1. / 12}};

// One image, `pixels` and `result` [C, H, W]. At a border the weights of the neighbours that there are do not sum to 1:
// the diagonal is their sum, so that the mean stays one.
void impute_image(const at::TensorAccessor<double, 3>& pixels, const at::TensorAccessor<bool, 2>& keep,
                  at::TensorAccessor<double, 3> result, const CancelFlag& cancel) {
  const int64_t channels = pixels.size(0), height = pixels.size(1), width = pixels.size(2);
  const auto for_removed = [&](auto&& visit) {
    for (int64_t y = 0; y < height; ++y)
      for (int64_t x = 0; x < width; ++x)
        if (!keep[y][x]) visit(y, x);
  };
  const auto for_neighbours = [&](int64_t y, int64_t x, auto&& visit) {
    for (size_t k = 0; k < std::size(kNeighbours); ++k) {
      const auto ny = y + kNeighbours[k].down, nx = x + kNeighbours[k].right;
      if (ny >= 0 && nx >= 0 && ny < height && nx < width) visit(k, ny, nx, kNeighbours[k].weight);
    }
  };
  GridMatrix matrix(height, width);
  for_removed([&](int64_t y, int64_t x) {
    const auto i = matrix.at(y, x);
    for_neighbours(y, x, [&](size_t k, int64_t ny, int64_t nx, double weight) {
      matrix.diagonal[i] += weight;
      if (k < 4 && !keep[ny][nx]) matrix.coupling[i][k] = weight;
    });
  });
  const GridMatrix shape(height, width);
  GridSolver solver(std::move(matrix));
  for (int64_t from = 0; from < channels; from += kLanes) {
    const auto lanes = std::min<int64_t>(kLanes, channels - from);
    Field known(shape.cells());
    for_removed([&](int64_t y, int64_t x) {
      auto& b = known[shape.at(y, x)];
      for_neighbours(y, x, [&](size_t, int64_t ny, int64_t nx, double weight) {
        if (!keep[ny][nx]) return;
        for (int64_t c = 0; c < lanes; ++c) b[static_cast<size_t>(c)] += weight * pixels[from + c][ny][nx];
      });
    });
    const auto solution = solver.solve(known, cancel);
    for_removed([&](int64_t y, int64_t x) {
      for (int64_t c = 0; c < lanes; ++c) result[from + c][y][x] = solution[shape.at(y, x)][static_cast<size_t>(c)];
    });
  }
}

}  // namespace

torch::Tensor impute(const torch::Tensor& images, const torch::Tensor& keep, const CancelFlag& cancel) {
  if (images.dim() != 4 || keep.dim() != 3 || keep.scalar_type() != at::kBool || keep.size(0) != images.size(0) ||
      keep.size(1) != images.size(2) || keep.size(2) != images.size(3))
    throw Error("ERR_SHAPE", "Pixels are imputed in images [N, C, H, W] with a mask of bools [N, H, W].");
  const at::NoGradGuard no_grad;
  const auto pixels = images.detach().to(at::kCPU, at::kDouble).contiguous();
  const auto kept = keep.to(at::kCPU).contiguous();
  const auto some = kept.flatten(1).any(1);
  if (!some.all().item<bool>())
    throw Error("ERR_INVALID_ARGUMENT",
                "An image keeps no pixel, so that nothing says what the removed ones would be.");
  auto result = pixels.clone();
  const auto in = pixels.accessor<double, 4>();
  const auto mask = kept.accessor<bool, 3>();
  auto out = result.accessor<double, 4>();
  for (int64_t n = 0; n < pixels.size(0); ++n) impute_image(in[n], mask[n], out[n], cancel);
  return result.to(images.options());
}

}  // namespace gradcam
