#include "module_state.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace gradcam {

namespace jit = torch::jit;
using at::IValue;
using torch::Tensor;

namespace {

std::string last_name(const std::string& path) {
  const auto dot = path.rfind('.');
  return dot == std::string::npos ? path : path.substr(dot + 1);
}

// Whether values of a type hold objects, other than modules, with an attribute of one of these names. They are kept
// whole.
bool holds_object_with(const c10::TypePtr& type, const std::unordered_set<std::string>& names, int depth = 0) {
  constexpr int kDeepest = 8;  // a class may hold objects of its own
  if (depth > kDeepest) return false;
  const auto inner = [&](const c10::TypePtr& one) { return holds_object_with(one, names, depth + 1); };
  const auto of_class = type->cast<c10::ClassType>();
  if (!of_class) return std::ranges::any_of(type->containedTypes(), inner);
  if (of_class->is_module()) return false;
  for (size_t i = 0; i < of_class->numAttributes(); ++i)
    if (names.count(of_class->getAttributeName(i)) || inner(of_class->getAttribute(i))) return true;
  return false;
}

}  // namespace

// An attribute is found by its own name: code may reach a module by another path than that of the module tree.
ModuleState::ModuleState(const jit::Module& root, const StateWrites& writes) : constants_(writes.constants) {
  std::unordered_set<std::string> names;
  for (const auto& path : writes.attributes) names.insert(last_name(path));
  std::unordered_set<const void*> seen;
  for (const auto& module : root.modules()) {
    const auto object = module._ivalue();
    if (!seen.insert(object.get()).second) continue;
    const auto type = object->type();
    for (size_t i = 0; i < type->numAttributes(); ++i) {
      const auto& attribute = type->getAttribute(i);
      const bool is_written = names.count(type->getAttributeName(i)) && !attribute->is_module();
      if (is_written || holds_object_with(attribute, names)) slots_.push_back({object, i});
    }
  }
}

class ModuleState::Kept {
 public:
  explicit Kept(const ModuleState& state) : state_(state) {
    std::unordered_map<const at::TensorImpl*, Tensor> copies;  // two attributes may be one tensor
    for (const auto& [object, index] : state.slots_) {
      const auto& before = slots_.emplace_back(object->getSlot(index));
      if (before.isTensor() && before.toTensor().defined()) {
        auto& copy = copies[before.toTensor().unsafeGetTensorImpl()];
        if (!copy.defined()) copy = before.toTensor().detach().clone();
        object->setSlot(index, copy);
      } else {
        object->setSlot(index, before.deepcopy());
      }
    }
    for (const auto& constant : state.constants_) constants_.push_back(constant.detach().clone());
  }

  ~Kept() {
    for (size_t i = 0; i < slots_.size(); ++i)
      state_.slots_[i].object->setSlot(state_.slots_[i].index, std::move(slots_[i]));
    const at::NoGradGuard no_graph;
    for (size_t i = 0; i < constants_.size(); ++i) Tensor(state_.constants_[i]).copy_(constants_[i]);
  }

  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;

 private:
  const ModuleState& state_;
  std::vector<IValue> slots_;
  std::vector<Tensor> constants_;
};

std::shared_ptr<void> ModuleState::keep() const { return empty() ? nullptr : std::make_shared<Kept>(*this); }

}  // namespace gradcam
