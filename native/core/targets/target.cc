#include "target.h"

#include <algorithm>

#include "core/base/error.h"
#include "target_output.h"

namespace gradcam {

namespace {

// One class for all images, or one per image, all of them among `count`.
std::vector<int64_t> spread(const std::vector<int64_t>& given, int64_t images, int64_t count) {
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

// table[n, classes[n]], or whatever follows the first two dimensions there.
Tensor pick(const Tensor& table, const std::vector<int64_t>& classes) {
  const auto images = at::arange(table.size(0), at::TensorOptions(at::kLong).device(table.device()));
  return table.index({images, torch::tensor(classes, at::kLong).to(table.device())});
}

// Finer-CAM: sum_c p_c (y_t - alpha y_c) / (sum_c p_c + 1e-9) over a few classes c that are similar to t, p =
// softmax(y). Zhang et al. 2025, "Finer-CAM: Spotting the Difference Reveals Finer Details for Visual Explanation",
// arXiv:2501.11309, equation 6, with pytorch-grad-cam's weights and epsilon; as there, the gradient also goes through
// p. Of those nearest to y_t by |y_c - y_t|, the lower number comes first where two are equally near.
Tensor finer_scores(const Tensor& table, const std::vector<int64_t>& classes, const Tensor& compared, double alpha) {
  const auto weights = table.softmax(1).gather(1, compared);
  const auto differences = pick(table, classes).unsqueeze(1) - alpha * table.gather(1, compared);
  return (weights * differences).sum(1) / (weights.sum(1) + 1e-9);
}

// Which classes c those are: [N, K].
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
  for (const auto c : target.against) spread({c}, 1, count);
  return torch::tensor(target.against, at::kLong).to(table.device()).unsqueeze(0).expand({images, -1});
}

Tensor masked_scores(const Tensor& output, const std::vector<int64_t>& classes, const Tensor& given) {
  const auto mask = given.to(output.options());
  const bool fits = mask.dim() == 2 || (mask.dim() == 3 && mask.size(0) == output.size(0));
  if (!fits || mask.size(-1) != output.size(3) || mask.size(-2) != output.size(2))
    throw Error("ERR_TARGET",
                "The mask has the shape " + shape_text(mask) + ", but the output is " + shape_text(output) + ".",
                Remedy{"Give [H, W] or [N, H, W] of the output's own size."});
  return (pick(output, classes) * mask).flatten(1).sum(1);
}

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

// The step of each dimension after the first: an element, or the sum, mean or greatest of all. What has no step is
// added up.
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

ResolvedTarget resolve_detections(const IValue& output, const Target& target) {
  auto found = resolve_boxes(output, target.path, target.box);
  ResolvedTarget resolved;
  if (found.labels.defined()) {
    const auto first = found.labels.select(1, 0).contiguous();
    resolved.classes.assign(first.const_data_ptr<int64_t>(), first.const_data_ptr<int64_t>() + first.numel());
  } else {
    resolved.classes.assign(static_cast<size_t>(found.scores.size(0)), -1);
  }
  resolved.scores = target.sign == 1 ? found.scores : found.scores * target.sign;
  resolved.labels = std::move(found.labels);
  return resolved;
}

}  // namespace

void require_rows(int64_t rows, std::optional<int64_t> images, const std::string& what, const std::string& code,
                  const std::string& remedy, const std::string& or_else) {
  if (!images || rows == *images) return;
  const auto returned = what + " returned " + std::to_string(rows) + (rows == 1 ? " row" : " rows") + " for " +
                        std::to_string(*images) + (*images == 1 ? " image" : " images");
  const auto more = or_else.empty() ? "" : " " + or_else;
  if (*images == 1) throw Error(code, returned + ".", Remedy{remedy + more});
  throw Error(kBatchSize, returned + ", so it cannot be told which belongs to which image.",
              Remedy{"Give it fewer images at a time." + more}, {{"rows", rows}, {"images", *images}});
}

namespace {

// Which other dimension has the size of the batch, and so may count the images.
std::string other_dimension(const Tensor& table, int64_t images) {
  for (int64_t dim = 1; dim < table.dim(); ++dim)
    if (table.size(dim) == images)
      return "It returned " + shape_text(table) + ": if dimension " + std::to_string(dim) +
             " counts the images, as in outputs that begin with the steps of a sequence, say so in the target: "
             "{ kind, ..., imageDim: " +
             std::to_string(dim) + " }.";
  return {};
}

void require_row_per_image(const Tensor& table, std::optional<int64_t> images, const Target& target) {
  require_rows(table.size(0), images, "The model", "ERR_TARGET",
               "The first dimension of what is explained must be the images. Explain another part of the output "
               "(`of`), or pass a function that turns the output into a scalar Tensor.",
               images && target.image_dim == 0 ? other_dimension(table, *images) : "");
}

// With the dimension of the images first.
Tensor images_first(const Tensor& given, int64_t dim) {
  if (dim == 0) return given;
  if (dim >= given.dim())
    throw Error("ERR_TARGET", "The target says that dimension " + std::to_string(dim) +
                                  " counts the images, but what the model returned is " + shape_text(given) + ".");
  return given.movedim(dim, 0);
}

// A score is one real number: of a complex one there is no gradient, nor a greatest one.
void require_real(const Tensor& scores) {
  if (!scores.is_complex()) return;
  throw Error("ERR_TARGET", "The model returned complex numbers, " + shape_text(scores) + ", which are no scores.",
              Remedy{"Explain another part of the output (`of`), or pass a function that makes a real number of them, "
                     "such as their magnitude."});
}

}  // namespace

ResolvedTarget resolve_target(const IValue& output, const Target& target, std::optional<int64_t> images_given) {
  if (target.score == Target::Score::box) {
    auto resolved = resolve_detections(output, target);
    require_row_per_image(resolved.scores, images_given, target);
    return resolved;
  }
  ResolvedTarget resolved;
  if (target.path.empty()) resolved.path = likely_part(output);
  auto logits =
      images_first(output_tensor(output, target.path.empty() ? resolved.path : target.path), target.image_dim);
  // A model that drops dimensions of size one gives [C] for one image.
  if (images_given == 1 && logits.dim() == 1 && logits.size(0) > 1) logits = logits.unsqueeze(0);
  require_real(logits);
  if (target.score == Target::Score::element) {
    if (logits.dim() < 1 || !logits.is_floating_point())
      throw Error("ERR_TARGET", "An element is taken of floating-point numbers [N, ...], but the model returned " +
                                    shape_text(logits) + ".");
    require_row_per_image(logits, images_given, target);
    resolved.scores = element_scores(logits, target.element) * target.sign;
    resolved.classes.assign(static_cast<size_t>(logits.size(0)), -1);
    return resolved;
  }
  const bool masked = target.score == Target::Score::mask;
  if (masked ? logits.dim() != 4 : logits.dim() < 1 || logits.dim() > 2)
    throw Error(
        "ERR_TARGET",
        masked ? "A class with a mask needs an output of shape [N, C, H, W], but it is " + shape_text(logits) + "."
               : "A class needs logits of shape [N, C] or [N], but the model returned " + shape_text(logits) + ".",
        Remedy{
            masked || logits.dim() < 3
                ? "Pass a function that turns the output into a scalar Tensor instead."
                : "Say which of its elements to explain: { kind: 'element', at: [c, 'sum', ...] } with a step for each "
                  "dimension after the first, a mask where it is a segmentation, or a function that turns the output "
                  "into a scalar Tensor."});
  const auto table = logits.dim() == 1 ? logits.unsqueeze(1) : logits;
  require_row_per_image(table, images_given, target);
  const int64_t images = table.size(0), count = table.size(1);
  if (table.numel() == 0)
    throw Error("ERR_TARGET", "The model returned no logits, " + shape_text(logits) + ": " +
                                  (images == 0 ? "the batch is empty." : "it has no classes."));

  if (target.kind == Target::Kind::top_class) {
    if (masked) throw Error("ERR_TARGET", "A mask needs a class: each pixel has a top class of its own.");
    const auto top = table.detach().argmax(1).to(at::kCPU, at::kLong).contiguous();
    resolved.classes.assign(top.const_data_ptr<int64_t>(), top.const_data_ptr<int64_t>() + images);
  } else {
    resolved.classes = spread(target.classes, images, count);
  }
  const auto& classes = resolved.classes;
  switch (target.score) {
    case Target::Score::logit:
      resolved.scores = pick(table, classes);
      break;
    case Target::Score::probability:
      resolved.scores = pick(table.softmax(1), classes);
      break;
    case Target::Score::difference:
      resolved.scores = pick(table, classes) - pick(table, spread(target.against, images, count));
      break;
    case Target::Score::finer:
      if (count < 2) throw Error("ERR_TARGET", "Finer-CAM compares classes, but the model has only one output.");
      resolved.compared = compared_classes(table, classes, target);
      resolved.scores = finer_scores(table, classes, resolved.compared, target.alpha);
      break;
    case Target::Score::mask:
      resolved.scores = masked_scores(table, classes, target.mask);
      break;
    case Target::Score::box:
    case Target::Score::element:
      break;  // above
  }
  if (target.sign != 1) resolved.scores = resolved.scores * target.sign;
  return resolved;
}

Target target_of_copies(const Target& target, const ResolvedTarget& resolved, const std::vector<int64_t>& images) {
  const auto of_images = [&](const std::vector<int64_t>& values) {
    std::vector<int64_t> chosen;
    for (const auto image : images) chosen.push_back(values.at(static_cast<size_t>(image)));
    return chosen;
  };
  auto copied = target;
  if (copied.path.empty()) copied.path = resolved.path;
  if (target.score == Target::Score::element) return copied;
  copied.kind = Target::Kind::classes;
  copied.classes = of_images(resolved.classes);
  if (target.score == Target::Score::difference && target.against.size() > 1)
    copied.against = of_images(target.against);
  const auto rows = [&](const Tensor& table) {
    return table.index_select(0, torch::tensor(images, at::kLong).to(table.device()));
  };
  if (target.score == Target::Score::box) {
    if (resolved.labels.defined()) copied.box.labels = rows(resolved.labels);
    if (target.box.boxes.size(0) > 1) copied.box.boxes = rows(target.box.boxes);
    copied.box.may_miss = true;  // what was detected may be gone from a copy, which is what the method asks
  }
  if (resolved.compared.defined()) copied.compared = rows(resolved.compared);
  if (target.mask.defined() && target.mask.dim() == 3) copied.mask = rows(target.mask);
  return copied;
}

Target target_of_images(const Target& target, int64_t count, const std::vector<int64_t>& images) {
  auto chosen = target;
  const auto require = [&](int64_t given) {
    if (given == count) return;
    throw Error("ERR_TARGET_COUNT", std::to_string(given) + " targets were given for a batch of " +
                                        std::to_string(count) + " images. Give one for all, or one for each.");
  };
  const auto pick_values = [&](std::vector<int64_t>& values) {
    if (values.size() <= 1) return;
    require(static_cast<int64_t>(values.size()));
    std::vector<int64_t> picked;
    for (const auto image : images) picked.push_back(values[static_cast<size_t>(image)]);
    values = std::move(picked);
  };
  const auto pick_rows = [&](Tensor& table) {
    if (!table.defined() || table.size(0) <= 1) return;
    require(table.size(0));
    table = table.index_select(0, torch::tensor(images, at::kLong).to(table.device()));
  };
  pick_values(chosen.classes);
  if (target.score == Target::Score::difference) pick_values(chosen.against);
  if (target.mask.defined() && target.mask.dim() == 3) pick_rows(chosen.mask);
  pick_rows(chosen.compared);
  pick_rows(chosen.box.boxes);
  pick_rows(chosen.box.labels);
  return chosen;
}

}  // namespace gradcam
