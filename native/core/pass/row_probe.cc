#include "row_probe.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "core/base/error.h"
#include "core/base/value_parts.h"
#include "core/rerun/repeat.h"

namespace gradcam {

namespace {

// Beyond the rounding by which a kernel for two images may differ from one for a single image.
double tolerance_of(at::ScalarType type) { return type == at::kHalf || type == at::kBFloat16 ? 5e-2 : 1e-3; }

bool same_values(const Tensor& some, const Tensor& other) {
  if (!some.is_floating_point()) return at::equal(some, other);
  const auto a = some.to(at::kDouble), b = other.to(at::kDouble);
  if (at::equal(a, b) || !b.isfinite().all().item<bool>()) return true;
  // Beside the largest value: one that is zero but for rounding has no relative error.
  const auto allowed = tolerance_of(some.scalar_type()) * b.abs().max().item<double>();
  return (a - b).abs().max().item<double>() <= allowed;
}

// The part of `pair`, of two images, that belongs to the first, where `alone` is of that image alone. Undefined where
// that cannot be told.
Tensor first_of(const Tensor& pair, const Tensor& alone) {
  if (pair.sizes() == alone.sizes()) return {};
  if (pair.dim() == alone.dim() + 1 && pair.size(0) == 2) return pair[0];  // it drops dimensions of size one
  if (pair.dim() != alone.dim()) return {};
  for (int64_t dim = 0; dim < pair.dim(); ++dim) {
    if (pair.size(dim) == alone.size(dim)) continue;
    if (pair.size(dim) != 2 * alone.size(dim)) return {};
    return pair.narrow(dim, 0, alone.size(dim));
  }
  return {};
}

enum class Verdict { same, differs, unknown };

Verdict compare(const IValue& pair, const IValue& alone) {
  if (pair.isTensor() && alone.isTensor()) {
    const auto &two = pair.toTensor(), &one = alone.toTensor();
    if (!two.defined() || !one.defined() || one.numel() == 0) return Verdict::unknown;
    const auto first = first_of(two, one);
    if (!first.defined() || first.sizes() != one.sizes()) return Verdict::unknown;
    return same_values(first, one) ? Verdict::same : Verdict::differs;
  }
  const auto some = parts_of(pair), others = parts_of(alone);
  auto verdict = Verdict::unknown;
  for (size_t i = 0; i < std::min(some.size(), others.size()); ++i) {
    const auto part = compare(some[i].second, others[i].second);
    if (part == Verdict::differs) return part;
    if (part == Verdict::same) verdict = part;
  }
  return verdict;
}

// A value that does not depend on how many images there are, although the images differ: [1, 5] for one and for two.
bool ignores_count(const IValue& pair, const IValue& alone) {
  return pair.isTensor() && alone.isTensor() && pair.toTensor().defined() && alone.toTensor().defined() &&
         alone.toTensor().dim() > 0 && pair.toTensor().sizes() == alone.toTensor().sizes() &&
         !same_values(pair.toTensor(), alone.toTensor());
}

// What every module returned, in the order in which they returned.
class Recorder : public CallObserver {
 public:
  struct Call {
    ModuleId module;
    Inputs inputs;
    IValue output;
  };

  bool observes(ModuleId, const c10::ClassType&) const override { return true; }
  void after(ModuleId module, const c10::ClassType&, const Inputs& inputs, IValue& output) override {
    const auto copy = [](const IValue& value) {
      return map_tensors(value, [](const Tensor& t) { return t.detach().clone(); });
    };
    Inputs copied;
    for (const auto& input : inputs) copied.push_back(copy(input));
    calls.push_back({module, std::move(copied), copy(output)});
  }

  std::vector<Call> calls;
};

std::string path_of(const Model& model, ModuleId id) {
  for (const auto& info : model.submodules())
    if (info.id == id) return info.path;
  return {};
}

using Compare = std::function<Verdict(const IValue&, const IValue&)>;

// The first module whose output differs; that of "norm" where its input is the same, else what comes before it.
std::string first_difference(const Model& model, const Recorder& pair, const Recorder& alone, const Compare& compared,
                             std::string& layer) {
  for (size_t i = 0; i < std::min(pair.calls.size(), alone.calls.size()); ++i) {
    const auto &two = pair.calls[i], &one = alone.calls[i];
    if (two.module != one.module) break;
    bool inputs_differ = false;
    for (size_t k = 0; k < std::min(two.inputs.size(), one.inputs.size()); ++k)
      inputs_differ |= compared(two.inputs[k], one.inputs[k]) == Verdict::differs;
    if (!inputs_differ && compared(two.output, one.output) != Verdict::differs) continue;
    layer = path_of(model, one.module);
    if (layer.empty()) return "in the model's own code";
    return (inputs_differ ? "before layer '" : "at layer '") + layer + "'";
  }
  return "in the model's own code";
}

Verdict compare_equal(const IValue& some, const IValue& others) {
  if (some.isTensor() && others.isTensor() && some.toTensor().defined() && others.toTensor().defined())
    return some.toTensor().sizes() == others.toTensor().sizes() && same_values(some.toTensor(), others.toTensor())
               ? Verdict::same
               : Verdict::differs;
  return compare(some, others);
}

// Whether tensors of so many images, of which the last is another one, differ in what is of the last alone. Along which
// dimension the images lie is not known: one of them has to do.
Verdict compare_but_last(const Tensor& some, const Tensor& other, int64_t images) {
  if (some.sizes() != other.sizes()) return Verdict::differs;
  auto verdict = Verdict::unknown;
  for (int64_t dim = 0; dim < some.dim(); ++dim) {
    const auto size = some.size(dim);
    if (size == 0 || size % images != 0) continue;
    const auto kept = size - size / images;
    if (same_values(some.narrow(dim, 0, kept), other.narrow(dim, 0, kept))) return Verdict::same;
    verdict = Verdict::differs;
  }
  return verdict;
}

Verdict compare_but_last(const IValue& some, const IValue& other, int64_t images) {
  if (some.isTensor() && other.isTensor()) {
    const auto &one = some.toTensor(), &two = other.toTensor();
    return one.defined() && two.defined() ? compare_but_last(one, two, images) : Verdict::unknown;
  }
  const auto parts = parts_of(some), others = parts_of(other);
  auto verdict = Verdict::unknown;
  for (size_t i = 0; i < std::min(parts.size(), others.size()); ++i) {
    const auto part = compare_but_last(parts[i].second, others[i].second, images);
    if (part == Verdict::differs) return part;
    if (part == Verdict::same) verdict = part;
  }
  return verdict;
}

// Another image than that of the last row: mirrored, so that its details lie elsewhere, and with other statistics.
void change_last_row(const Tensor& images) {
  auto last = images[-1];
  const auto mirrored = last.dim() > 0 ? last.flip({last.dim() - 1}) : last.clone();
  last.copy_(images.is_floating_point() ? mirrored.mul(-0.5) : mirrored);
}

// The same value with tensors that have the same shapes and take no memory.
IValue shapes_of(const IValue& value) {
  return map_tensors(value, [](const Tensor& t) { return at::zeros({}).expand(t.sizes()); });
}

class Probe {
 public:
  // `images` is how many were given, on which the model runs.
  Probe(Model& model, const std::vector<IValue>& inputs, size_t input, int64_t images, const CancelFlag* cancel)
      : model_(model), inputs_(inputs), input_(input), images_(images), cancel_(cancel) {}

  RowsFound find() {
    const auto one = copies(1), two = with_other_last(2);
    IValue alone, pair;
    try {
      alone = run(one, nullptr);
    } catch (const std::exception& e) {
      if (images_ < 2 || !may_run_in_parts(e) || is_out_of_memory(e)) throw;
      return only_together("it does not run on one image alone: " + concise_message(e));
    }
    try {
      pair = run(two, nullptr);
    } catch (const std::exception& e) {
      if (!may_run_in_parts(e) || is_out_of_memory(e)) throw;
      return {false, "it runs on one image, but not on two: " + concise_message(e), ""};
    }
    if (ignores_count(pair, alone)) {
      const std::string why = "it returns as many rows for two images as for one.";
      const bool traced = images_ > 1 && alone.toTensor().size(0) == images_;  // as many as it was traced with
      auto found = traced ? only_together(why) : RowsFound{false, why, ""};
      found.one = shapes_of(alone);
      found.two = shapes_of(pair);
      return found;
    }
    RowsFound found;
    if (compare(pair, alone) == Verdict::differs)
      found = explain(one, two, alone, compare, "an image comes out differently alone and beside another one");
    found.one = shapes_of(alone);
    found.two = shapes_of(pair);
    return found;
  }

  // Of a model that takes so many images at a time, and not one or two: whether another last image changes the others.
  RowsFound find_among(int64_t images) {
    const auto same = copies(images), other = with_other_last(images);
    const Compare compared = [images](const IValue& one, const IValue& two) {
      return compare_but_last(one, two, images);
    };
    const auto before = run(same, nullptr);
    if (compared(run(other, nullptr), before) != Verdict::differs) return {};
    auto found = explain(same, other, before, compared, "an image comes out differently beside another one");
    found.alone = false;
    found.mixed = !found.random;
    return found;
  }

 private:
  // Of a model that runs on as many images as were given, and not on one.
  RowsFound only_together(const std::string& why) {
    RowsFound found{false, why, ""};
    found.alone = false;
    found.mixed = find_among(images_).mixed;
    return found;
  }

  std::vector<IValue> copies(int64_t count) const {
    return inputs_of(inputs_, images_, std::vector<int64_t>(static_cast<size_t>(count), 0));
  }

  std::vector<IValue> with_other_last(int64_t count) const {
    auto changed = copies(count);
    change_last_row(changed[input_].toTensor());
    return changed;
  }

  IValue run(const std::vector<IValue>& inputs, CallObserver* observer) {
    std::vector<IValue> own;
    for (const auto& input : inputs)
      own.push_back(map_tensors(input, [](const Tensor& t) { return t.detach().clone(); }));
    return model_.run_and_restore(std::move(own), observer, cancel_);
  }

  // Where `some` and `other` come out differently, or `some` in two runs. `before`: what `some` gave.
  RowsFound explain(const std::vector<IValue>& some, const std::vector<IValue>& other, const IValue& before,
                    const Compare& compared, const std::string& what) {
    RowsFound found{false, "", ""};
    Recorder first, second;
    const bool repeats = compare_equal(run(some, &first), before) != Verdict::differs;
    found.random = !repeats;
    run(repeats ? other : some, &second);
    const auto where = first_difference(model_, second, first, repeats ? compared : compare_equal, found.layer);
    found.why = (repeats ? what : "two runs of one image come out differently") + ", first " + where + ".";
    return found;
  }

  Model& model_;
  const std::vector<IValue>& inputs_;
  const size_t input_;
  const int64_t images_;
  const CancelFlag* cancel_;
};

}  // namespace

std::optional<int64_t> image_count(const std::vector<IValue>& inputs, size_t input) {
  if (input >= inputs.size() || !inputs[input].isTensor() || !inputs[input].toTensor().defined()) return std::nullopt;
  const auto& tensor = inputs[input].toTensor();
  if (tensor.dim() < 2) return std::nullopt;
  return tensor.size(0);
}

std::optional<int64_t> image_dimension(const RowsFound& rows, const PartPath& path) {
  const auto one = part_at(rows.one, path), two = part_at(rows.two, path);
  if (!one || !two || !one->isTensor() || !two->isTensor()) return std::nullopt;
  const auto alone = one->toTensor().sizes(), pair = two->toTensor().sizes();
  if (alone.size() != pair.size()) return std::nullopt;
  std::optional<int64_t> found;
  for (size_t dim = 0; dim < alone.size(); ++dim) {
    if (alone[dim] == pair[dim]) continue;
    if (found || pair[dim] != 2 * alone[dim]) return std::nullopt;
    found = static_cast<int64_t>(dim);
  }
  return found;
}

const RowsFound& probe_rows(Model& model, const std::vector<IValue>& inputs, size_t input, const CancelFlag* cancel) {
  if (model.rows) return *model.rows;
  const auto images = image_count(inputs, input);
  static const RowsFound kUnknown;
  const auto batch = model.batch();
  const bool any = batch.allows(1) && batch.allows(2);
  if (!any && batch.min < 2) return kUnknown;  // one at a time
  if (!images || *images < 1 || model.hooks().has_hooks()) return kUnknown;
  const at::NoGradGuard no_graph;
  Probe probe(model, inputs, input, *images, cancel);
  model.rows = any ? probe.find() : probe.find_among(batch.min);
  return *model.rows;
}

}  // namespace gradcam
