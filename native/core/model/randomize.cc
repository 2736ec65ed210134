#include "randomize.h"

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <unordered_map>

#include "core/base/mix_bits.h"

namespace gradcam {

namespace jit = torch::jit;
using torch::Tensor;

namespace {

bool within(const std::string& path, const std::string& module) {
  return module.empty() || path == module ||
         (path.size() > module.size() && path[module.size()] == '.' && path.starts_with(module));
}

// Normal numbers with the mean and standard deviation of the values that they replace.
Tensor drawn_like(const Tensor& parameter, uint64_t seed) {
  const auto values = parameter.detach().to(at::kDouble);
  auto drawn = at::randn(parameter.sizes(), at::make_generator<at::CPUGeneratorImpl>(seed), at::kDouble);
  drawn = drawn.to(values.device()) * values.std(/*unbiased=*/false) + values.mean();
  return drawn.to(parameter.scalar_type());
}

}  // namespace

bool randomize_parameters(jit::Module& module, const std::vector<std::string>& paths, uint64_t seed) {
  struct Slot {
    c10::intrusive_ptr<c10::ivalue::Object> object;
    size_t index;
  };
  struct Parameter {
    Tensor value;
    std::vector<Slot> slots;  // several where it is tied
    bool chosen = false;
  };
  std::vector<Parameter> parameters;
  std::unordered_map<const at::TensorImpl*, size_t> known;
  for (const auto& [path, submodule] : module.named_modules()) {
    const auto type = submodule.type();
    const bool chosen =
        std::any_of(paths.begin(), paths.end(), [&, &at = path](const auto& p) { return within(at, p); });
    for (size_t i = 0; i < type->numAttributes(); ++i) {
      const auto value = submodule._ivalue()->getSlot(i);
      if (!type->is_parameter(i) || !value.isTensor() || !value.toTensor().is_floating_point()) continue;
      const auto tensor = value.toTensor();
      const auto [entry, first] = known.emplace(tensor.unsafeGetTensorImpl(), parameters.size());
      if (first) parameters.push_back({tensor, {}});
      auto& parameter = parameters[entry->second];
      parameter.slots.push_back({submodule._ivalue(), i});
      parameter.chosen = parameter.chosen || chosen;
    }
  }
  if (std::none_of(parameters.begin(), parameters.end(), [](const auto& p) { return p.chosen; })) return false;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const auto& [value, slots, chosen] = parameters[i];
    if (!chosen || value.numel() == 0) continue;
    // Generators of neighbouring seeds give unrelated numbers only if the seeds' bits differ well.
    const auto drawn = drawn_like(value, mix_bits(mix_bits(seed + 1) + i));
    for (const auto& [object, index] : slots) object->setSlot(index, drawn);
  }
  return true;
}

}  // namespace gradcam
