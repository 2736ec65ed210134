#include "repeat.h"

#include "core/split/split_graph.h"

namespace gradcam {

namespace {

[[noreturn]] void refuse() { throw CannotSplit("the batch dimension of an intermediate value is ambiguous"); }

Tensor tensor_of(const Tensor& once, const Tensor& twice, int64_t count, const std::vector<int64_t>& images) {
  if (!once.defined() || once.sizes() == twice.sizes()) return once.defined() ? once.clone() : once;
  if (once.dim() != twice.dim()) refuse();
  int64_t batched = -1;
  for (int64_t dim = 0; dim < once.dim(); ++dim) {
    if (once.size(dim) == twice.size(dim)) continue;
    if (batched >= 0 || twice.size(dim) != 2 * once.size(dim) || once.size(dim) % count != 0) refuse();
    batched = dim;
  }
  // Several rows per image are assumed to be adjacent. If they are, the first half of the rows is the same.
  const auto each = once.size(batched) / count;
  const auto first = twice.narrow(batched, 0, once.size(batched));
  if (each > 1 && !at::allclose(first.to(at::kDouble), once.to(at::kDouble), 1e-3, 1e-3, /*equal_nan=*/true)) refuse();
  std::vector<int64_t> rows;
  for (const auto image : images)
    for (int64_t i = 0; i < each; ++i) rows.push_back(image * each + i);
  return rows_of(once, batched, rows);
}

// A size, or a number of elements.
int64_t integer_of(int64_t once, int64_t twice, int64_t count, int64_t copies) {
  if (once == twice) return once;
  if (twice != 2 * once || once % count != 0) refuse();
  return once / count * copies;
}

}  // namespace

Tensor rows_of(const Tensor& tensor, int64_t dim, const std::vector<int64_t>& images) {
  const auto format = tensor.suggest_memory_format();
  return tensor.index_select(dim, torch::tensor(images, at::kLong).to(tensor.device())).contiguous(format);
}

std::vector<IValue> inputs_of(const std::vector<IValue>& inputs, int64_t count, const std::vector<int64_t>& images) {
  std::vector<IValue> repeated;
  for (const auto& input : inputs)
    repeated.push_back(map_tensors(
        input, [&](const Tensor& t) { return t.dim() > 0 && t.size(0) == count ? rows_of(t, 0, images) : t.clone(); }));
  return repeated;
}

IValue value_of(const IValue& once, const IValue& twice, int64_t count, const std::vector<int64_t>& images) {
  const auto copies = static_cast<int64_t>(images.size());
  if (once.isTensor() && twice.isTensor()) return tensor_of(once.toTensor(), twice.toTensor(), count, images);
  if (once.isInt() && twice.isInt()) return integer_of(once.toInt(), twice.toInt(), count, copies);
  if (once.isTuple() && twice.isTuple()) {
    const auto &some = once.toTupleRef().elements(), &more = twice.toTupleRef().elements();
    if (some.size() != more.size()) refuse();
    std::vector<IValue> elements;
    for (size_t i = 0; i < some.size(); ++i) elements.push_back(value_of(some[i], more[i], count, images));
    if (const auto type = once.type()->cast<c10::TupleType>(); type && type->schema())
      return c10::ivalue::Tuple::createNamed(std::move(elements), type);
    return c10::ivalue::Tuple::create(std::move(elements));
  }
  if (once.isList() && twice.isList()) {
    const auto some = once.toList(), more = twice.toList();
    if (some.size() != more.size()) refuse();
    c10::List<IValue> elements(some.elementType());
    for (size_t i = 0; i < some.size(); ++i) elements.push_back(value_of(some.get(i), more.get(i), count, images));
    return elements;
  }
  if (once.isObject() && once.is(twice)) return once;
  const bool plain = once.isNone() || once.isBool() || once.isDouble() || once.isString() || once.isDevice();
  if (!plain || once != twice) refuse();
  return once;
}

}  // namespace gradcam
