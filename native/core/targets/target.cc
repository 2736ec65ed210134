#include "target.h"

#include "class_scores.h"
#include "core/base/dtype.h"
#include "core/base/error.h"
#include "target_output.h"

namespace gradcam {

namespace {

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
  if (*images == 1) throw Error(code, returned + ".", Remedy{remedy + more}, {{"rows", rows}, {"images", *images}});
  throw Error(kBatchSize, returned + ", so it cannot be told which belongs to which image.",
              Remedy{(rows % *images == 0 && rows > *images
                          ? "Give it one image at a time. Where one image has several rows, too: " + remedy
                          : "Give it fewer images at a time.") +
                     more},
              {{"rows", rows}, {"images", *images}});
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
  const auto rows = table.size(0);
  const auto steps = images && target.image_dim == 0 ? other_dimension(table, *images) : "";
  const std::string traced = images == 1 && rows > 1 && steps.empty()
                                 ? " Where it was traced with " + std::to_string(rows) +
                                       " images, give it as many, or export it with a batch of any size."
                                 : "";
  require_rows(rows, images, "The model", "ERR_TARGET",
               "The first dimension of what is explained must be the images. Explain another part of the output "
               "(`of`), or pass a function that turns the output into a scalar Tensor." +
                   traced,
               steps);
}

// With the dimension of the images first.
Tensor images_first(const Tensor& given, int64_t dim) {
  if (dim == 0) return given;
  if (dim >= given.dim())
    throw Error("ERR_TARGET", "The target says that dimension " + std::to_string(dim) +
                                  " counts the images, but what the model returned is " + shape_text(given) + ".");
  return given.movedim(dim, 0);
}

// A score is one real number: complex numbers have no order, and no gradient that a map could be made of. Whole numbers
// and flags are what a model decided, and not how sure it was of that: the difference of two class numbers says
// nothing.
void require_real(const Tensor& scores) {
  if (scores.is_floating_point()) return;
  if (!scores.is_complex())
    throw Error("ERR_TARGET",
                "The model returned " + dtype_name(scores.scalar_type()) + " " + shape_text(scores) +
                    ": decisions, such as class numbers, which cannot be scores.",
                Remedy{"Explain another part of the output (`of`), or export the model without the operator that "
                       "decides, such as argmax, round or a threshold."});
  throw Error("ERR_TARGET", "The model returned complex numbers, " + shape_text(scores) + ", which cannot be scores.",
              Remedy{"Explain another part of the output (`of`), or pass a function that makes a real number of them, "
                     "such as their magnitude."});
}

// A model that drops dimensions of size one gives a number without dimensions for one image. For several it is of all
// of them, as a loss is.
Tensor of_one_image(const Tensor& number, std::optional<int64_t> images) {
  if (images.value_or(1) == 1) return number.reshape({1});
  throw Error(kBatchSize,
              "The model returned one number for " + std::to_string(*images) +
                  " images together, so it cannot be told which belongs to which image.",
              Remedy{"Give it one image at a time."}, {{"images", *images}});
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
  if (logits.dim() == 0) logits = of_one_image(logits, images_given);
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
    resolved.classes = class_of_each_image(target.classes, images, count);
  }
  const auto& classes = resolved.classes;
  switch (target.score) {
    case Target::Score::logit:
      resolved.scores = pick_classes(table, classes);
      break;
    case Target::Score::probability:
      resolved.scores = pick_classes(table.softmax(1), classes);
      break;
    case Target::Score::difference:
      resolved.scores =
          pick_classes(table, classes) - pick_classes(table, class_of_each_image(target.against, images, count));
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

}  // namespace gradcam
