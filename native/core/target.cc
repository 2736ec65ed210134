#include "target.h"

#include "error.h"

#include <sstream>

namespace gradcam {

ResolvedTarget resolve_target(const Tensor& logits, const Target& target) {
  if (logits.dim() < 1 || logits.dim() > 2) {
    std::ostringstream shape;
    shape << logits.sizes();
    throw Error("ERR_TARGET", "A class index needs logits of shape [N, C] or [N], but the model returned " + shape.str() +
                                  ". Pass a function that turns the output into a scalar Tensor instead.");
  }
  const auto table = logits.dim() == 1 ? logits.unsqueeze(1) : logits;
  const int64_t images = table.size(0), count = table.size(1);
  if (images == 0 || count == 0) throw Error("ERR_TARGET", "The model returned no logits: the batch is empty.");

  ResolvedTarget resolved;
  if (target.kind == Target::Kind::top_class) {
    const auto top = table.detach().argmax(1).to(at::kCPU, at::kLong).contiguous();
    resolved.classes.assign(top.const_data_ptr<int64_t>(), top.const_data_ptr<int64_t>() + images);
  } else if (target.classes.size() == 1) {
    resolved.classes.assign(static_cast<size_t>(images), target.classes.front());
  } else {
    if (static_cast<int64_t>(target.classes.size()) != images)
      throw Error("ERR_TARGET_COUNT", std::to_string(target.classes.size()) + " targets were given for a batch of " +
                                          std::to_string(images) +
                                          " images. Give one class for all of them, or exactly one per image.");
    resolved.classes = target.classes;
  }
  for (const auto index : resolved.classes)
    if (index < 0 || index >= count)
      throw Error("ERR_TARGET_OUT_OF_RANGE", "There is no class " + std::to_string(index) + ": the model has " +
                                                 std::to_string(count) + (count == 1 ? " output" : " classes") +
                                                 ", numbered from 0 to " + std::to_string(count - 1) + ".");
  const auto index = torch::tensor(resolved.classes, at::kLong).unsqueeze(1).to(table.device());
  resolved.scores = table.gather(1, index).squeeze(1);
  return resolved;
}

}  // namespace gradcam
