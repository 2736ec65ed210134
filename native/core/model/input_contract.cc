#include "input_contract.h"

#include <algorithm>
#include <map>

#include "core/base/dtype.h"
#include "core/base/error.h"

namespace gradcam {

namespace {

bool is_fixed(const InputSize& size) { return size.min == size.max; }

std::string size_text(const InputSize& size) {
  if (is_fixed(size)) return std::to_string(size.max);
  if (size.max == InputSize::kAny && size.min <= 1)
    return size.multiple == 1 ? "any" : std::to_string(size.multiple) + "*n";
  return std::to_string(size.min) + ".." + (size.max == InputSize::kAny ? "" : std::to_string(size.max));
}

std::string spec_text(const InputSpec& spec) {
  std::string text = spec.dtype ? dtype_name(*spec.dtype) + " [" : "[";
  for (size_t i = 0; i < spec.sizes.size(); ++i) text += (i ? ", " : "") + size_text(spec.sizes[i]);
  return text + "]";
}

std::string given_text(const Tensor& tensor) { return dtype_name(tensor.scalar_type()) + " " + shape_text(tensor); }

std::string remedy(const InputContract& contract, size_t dim) {
  if (dim > 0)
    return "Bring the input to that size, or export the model with that dimension dynamic (`dynamic_shapes` of "
           "torch.export.export).";
  const auto by =
      contract.batch_fixed_by.empty() ? "" : " The operator '" + contract.batch_fixed_by + "' fixes its batch.";
  return "Give that many images at a time, or export the model with a dynamic batch: torch.export.export(model, (x,), "
         "dynamic_shapes=({0: torch.export.Dim('batch')},))." +
         by;
}

[[noreturn]] void refuse_shape(const InputSpec& spec, const Tensor& tensor, size_t dim, const std::string& remedy) {
  throw Error(
      "ERR_SHAPE",
      "The model's input '" + spec.name + "' takes " + spec_text(spec) + ", but was given " + given_text(tensor) + ".",
      Remedy{remedy},
      {{"input", spec.name}, {"shape", tensor.sizes().vec()}, {"dimension", static_cast<int64_t>(dim)}});
}

std::string rank_remedy(const InputSpec& spec, const Tensor& tensor) {
  const auto taken = static_cast<int64_t>(spec.sizes.size());
  return "Give " + std::to_string(taken) + " dimensions instead of " + std::to_string(tensor.dim()) +
         (tensor.dim() + 1 == taken ? ": the first counts the images, as unsqueeze(0) adds it." : ".");
}

// A size of an input that others depend on.
struct KnownSize {
  std::string input;
  size_t dim = 0;
  int64_t base = 0;  // before it is multiplied
};

std::string same_size_remedy(const InputSpec& spec, size_t dim, const KnownSize& known) {
  const auto size = std::to_string(known.base * std::max<int64_t>(spec.sizes[dim].multiple, 1));
  if (dim == 0 && known.dim == 0) return "Give as many images as '" + known.input + "' has, " + size + ".";
  return "Its dimension " + std::to_string(dim) + " has to be " + size + ", by dimension " + std::to_string(known.dim) +
         " of '" + known.input + "'.";
}

void check_tensor(const InputContract& contract, const InputSpec& spec, const Tensor& tensor,
                  std::map<std::string, KnownSize>& symbols) {
  if (spec.dtype && tensor.scalar_type() != *spec.dtype)
    throw Error("ERR_DTYPE",
                "The model's input '" + spec.name + "' takes " + spec_text(spec) + ", but was given " +
                    given_text(tensor) + ".",
                Remedy{"Convert the input, or export the model for another dtype."});
  if (tensor.dim() != static_cast<int64_t>(spec.sizes.size())) refuse_shape(spec, tensor, 1, rank_remedy(spec, tensor));
  for (size_t dim = 0; dim < spec.sizes.size(); ++dim) {
    const auto& allowed = spec.sizes[dim];
    const auto size = tensor.size(static_cast<int64_t>(dim));
    if (size < allowed.min || size > allowed.max || size % std::max<int64_t>(allowed.multiple, 1) != 0)
      refuse_shape(spec, tensor, dim, remedy(contract, dim));
    if (allowed.symbol.empty()) continue;
    const auto base = size / std::max<int64_t>(allowed.multiple, 1);
    const auto& known = symbols.emplace(allowed.symbol, KnownSize{spec.name, dim, base}).first->second;
    if (known.base != base) refuse_shape(spec, tensor, dim, same_size_remedy(spec, dim, known));
  }
}

}  // namespace

BatchBounds InputContract::batch() const {
  BatchBounds bounds;
  for (const auto& spec : inputs) {
    if (!spec.is_tensor || spec.sizes.empty()) continue;
    bounds.min = std::max(bounds.min, spec.sizes.front().min);
    bounds.max = std::min(bounds.max, spec.sizes.front().max);
  }
  return bounds;
}

void convert_inputs(const InputContract& contract, std::optional<at::ScalarType> dtype, std::vector<IValue>& inputs) {
  if (!dtype) return;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (i < contract.inputs.size() && contract.inputs[i].dtype) continue;
    inputs[i] = map_tensors(inputs[i], [&](const Tensor& t) {
      return t.defined() && t.is_floating_point() && t.scalar_type() != *dtype ? t.to(*dtype) : t;
    });
  }
}

void check_inputs(const InputContract& contract, const std::vector<IValue>& inputs) {
  std::map<std::string, KnownSize> symbols;
  for (size_t i = 0; i < std::min(contract.inputs.size(), inputs.size()); ++i)
    if (contract.inputs[i].is_tensor && inputs[i].isTensor())
      check_tensor(contract, contract.inputs[i], inputs[i].toTensor(), symbols);
}

}  // namespace gradcam
