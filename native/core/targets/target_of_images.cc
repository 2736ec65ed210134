#include "core/base/error.h"
#include "target.h"

namespace gradcam {

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
