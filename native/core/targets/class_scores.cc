#include "class_scores.h"

#include <algorithm>

#include "core/base/error.h"

namespace gradcam {

namespace {

std::string element_text(const std::vector<ElementStep>& steps) {
  std::string text;
  for (const auto& [kind, index] : steps) {
    text += text.empty() ? "" : ", ";
    switch (kind) {
      case ElementStep::Kind::index:
        text += std::to_string(index);
        break;
      case ElementStep::Kind::sum:
        text += "sum";
        break;
      case ElementStep::Kind::mean:
        text += "mean";
        break;
      case ElementStep::Kind::max:
        text += "max";
        break;
    }
  }
  return "[" + text + "]";
}

}  // namespace

std::vector<int64_t> class_of_each_image(const std::vector<int64_t>& given, int64_t images, int64_t count) {
  auto classes = given.size() == 1 ? std::vector<int64_t>(static_cast<size_t>(images), given.front()) : given;
  if (static_cast<int64_t>(classes.size()) != images)
    throw Error(
        "ERR_TARGET_COUNT",
        std::to_string(given.size()) + " targets were given for a batch of " + std::to_string(images) + " images.",
        Remedy{"Give one class for all of them, or exactly one per image."});
  for (const auto index : classes)
    if (index < 0 || index >= count)
      throw Error("ERR_TARGET_OUT_OF_RANGE", "Class " + std::to_string(index) + " does not exist: the model has " +
                                                 std::to_string(count) + (count == 1 ? " output" : " classes") +
                                                 ", numbered from 0 to " + std::to_string(count - 1) + ".");
  return classes;
}

Tensor pick_classes(const Tensor& table, const std::vector<int64_t>& classes) {
  const auto images = at::arange(table.size(0), at::TensorOptions(at::kLong).device(table.device()));
  return table.index({images, torch::tensor(classes, at::kLong).to(table.device())});
}

Tensor finer_scores(const Tensor& table, const std::vector<int64_t>& classes, const Tensor& compared, double alpha) {
  const auto weights = table.softmax(1).gather(1, compared);
  const auto differences = pick_classes(table, classes).unsqueeze(1) - alpha * table.gather(1, compared);
  return (weights * differences).sum(1) / (weights.sum(1) + 1e-9);
}

Tensor compared_classes(const Tensor& table, const std::vector<int64_t>& classes, const Target& target) {
  const auto images = table.size(0), count = table.size(1);
  if (target.compared.defined()) return target.compared.to(table.device());
  if (target.against.empty()) {
    const auto chosen = torch::tensor(classes, at::kLong).to(table.device()).unsqueeze(1);
    const auto logits = table.detach();
    const auto distance = (logits - logits.gather(1, chosen)).abs().scatter(1, chosen, -1.0);  // itself comes first
    const auto order = std::get<1>(distance.sort(/*stable=*/true, /*dim=*/1, /*descending=*/false));
    return order.slice(1, 1, 1 + std::min(target.nearest, count - 1));
  }
  for (const auto c : target.against) class_of_each_image({c}, 1, count);
  return torch::tensor(target.against, at::kLong).to(table.device()).unsqueeze(0).expand({images, -1});
}

Tensor masked_scores(const Tensor& output, const std::vector<int64_t>& classes, const Tensor& given) {
  const auto mask = given.to(output.options());
  const bool fits = mask.dim() == 2 || (mask.dim() == 3 && mask.size(0) == output.size(0));
  if (!fits || mask.size(-1) != output.size(3) || mask.size(-2) != output.size(2))
    throw Error("ERR_TARGET",
                "The mask has the shape " + shape_text(mask) + ", but the output is " + shape_text(output) + ".",
                Remedy{"Give [H, W] or [N, H, W] of the output's own size."});
  return (pick_classes(output, classes) * mask).flatten(1).sum(1);
}

Tensor element_scores(const Tensor& output, const std::vector<ElementStep>& steps) {
  if (output.dim() <= static_cast<int64_t>(steps.size()))
    throw Error("ERR_TARGET",
                "The target says what to take of " + std::to_string(steps.size()) +
                    " dimensions after that of the images, " + element_text(steps) +
                    ", but what the model returned is " + shape_text(output) + ".",
                Remedy{"Give at most one step for each dimension after the first."});
  auto scores = output;
  int64_t dim = 1;  // of the next step: those that are taken away make room
  for (const auto& step : steps) {
    const auto size = scores.size(dim);
    switch (step.kind) {
      case ElementStep::Kind::index:
        if (step.index >= size || step.index < -size)
          throw Error("ERR_TARGET_OUT_OF_RANGE", "Element " + element_text(steps) + " of what the model returned, " +
                                                     shape_text(output) + ", does not exist: a dimension of " +
                                                     std::to_string(size) + " has no index " +
                                                     std::to_string(step.index) + ".");
        scores = scores.select(dim, step.index);
        break;
      case ElementStep::Kind::mean:
        scores = scores.mean(dim);
        break;
      case ElementStep::Kind::max:
        scores = scores.amax(dim);
        break;
      case ElementStep::Kind::sum:
        ++dim;
        break;
    }
  }
  return scores.dim() > 1 ? scores.flatten(1).sum(1) : scores;
}

}  // namespace gradcam
