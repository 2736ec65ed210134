#include "guided_path.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "core/base/error.h"

namespace gradcam {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// As near to the target distance as this ends a step.
constexpr double kEpsilon = 1e-9;

bool is_close(double a, double b) {
  return std::abs(a - b) <= std::max(kEpsilon * std::max(std::abs(a), std::abs(b)), kEpsilon);
}

using Elements = std::span<const double>;

double distance(Elements a, Elements b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::abs(a[i] - b[i]);
  return sum;
}

// The point of the straight line from the baseline to the input that covers `share` of it.
std::vector<double> on_line(Elements baseline, Elements input, double share) {
  std::vector<double> points(input.size());
  for (size_t i = 0; i < points.size(); ++i) points[i] = baseline[i] + (input[i] - baseline[i]) * share;
  return points;
}

// The value that would be at `index` if these were sorted.
double smallest(std::vector<double> values, size_t index) {
  const auto nth = values.begin() + static_cast<std::ptrdiff_t>(index);
  std::nth_element(values.begin(), nth, values.end());
  return *nth;
}

// The path of one image. `at` is moved.
void advance(std::span<double> at, Elements gradient, Elements input, Elements baseline, double share,
             const GuidedPathBounds& bounds) {
  const double whole = distance(baseline, input);
  if (whole == 0) return;
  const double goal = whole * (1 - share);
  const double least = std::max(share - bounds.max_distance, 0.0);
  const auto begins = on_line(baseline, input, least);
  const auto ends = on_line(baseline, input, std::min(share + bounds.max_distance, 1.0));
  // Of those that may go on; infinite for the others.
  std::vector<double> sizes(at.size());
  for (size_t i = 0; i < at.size(); ++i) sizes[i] = std::isnan(gradient[i]) ? kInfinity : std::abs(gradient[i]);
  const auto index = static_cast<size_t>(bounds.fraction * static_cast<double>(at.size() - 1));
  for (double gamma = kInfinity; gamma > 1;) {
    for (size_t i = 0; i < at.size(); ++i) {
      const double way = input[i] - baseline[i];
      if (way != 0 && (at[i] - baseline[i]) / way < least) at[i] = begins[i];
    }
    const double now = distance(at, input);
    if (is_close(goal, now)) return;
    for (size_t i = 0; i < at.size(); ++i)
      if (at[i] == ends[i]) sizes[i] = kInfinity;
    const double threshold = smallest(sizes, index);
    const auto chosen = [&](size_t i) { return sizes[i] <= threshold && sizes[i] != kInfinity; };
    double movable = 0;
    for (size_t i = 0; i < at.size(); ++i)
      if (chosen(i)) movable += std::abs(at[i] - ends[i]);
    if (!(movable > 0)) return;  // gradients that are not numbers choose nothing
    gamma = (now - goal) / movable;
    for (size_t i = 0; i < at.size(); ++i)
      if (chosen(i)) at[i] = gamma > 1 ? ends[i] : at[i] + (ends[i] - at[i]) * gamma;
  }
}

}  // namespace

GuidedPaths guided_step(const GuidedPaths& paths, const torch::Tensor& gradient, const torch::Tensor& input,
                        const torch::Tensor& baseline, double share, const GuidedPathBounds& bounds) {
  for (const auto& tensor : {paths.at, paths.attribution, gradient, input, baseline})
    if (tensor.dim() == 0 || tensor.sizes() != paths.at.sizes() || tensor.scalar_type() != at::kDouble ||
        !tensor.is_contiguous() || !tensor.is_cpu())
      throw Error("ERR_SHAPE", "The tensors of a path have one shape [N, ...], and are contiguous float64 on the CPU.");
  const at::NoGradGuard no_grad;
  auto next = paths.at.detach().clone();
  const int64_t rows = next.size(0);
  const auto size = rows == 0 ? 0 : static_cast<size_t>(next.numel() / rows);
  auto* const values = next.mutable_data_ptr<double>();
  if (size > 0)
    at::parallel_for(0, rows, 1, [&](int64_t begin, int64_t end) {
      for (auto row = static_cast<size_t>(begin); row < static_cast<size_t>(end); ++row) {
        const auto of = [&](const torch::Tensor& tensor) {
          return Elements(tensor.const_data_ptr<double>() + row * size, size);
        };
        advance({values + row * size, size}, of(gradient), of(input), of(baseline), share, bounds);
      }
    });
  return {next, paths.attribution + (next - paths.at) * gradient};
}

}  // namespace gradcam
