#include "module_copy.h"

#include <torch/csrc/jit/api/function_impl.h>

#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/ivalues.h"

namespace gradcam {

namespace jit = torch::jit;
using c10::ClassType;
using c10::TypePtr;
using c10::ivalue::Object;

namespace {

class ModuleCopier {
 public:
  ModuleCopier(const jit::Module& root, const FunctionToCopy& to_copy, CopiedState state) : state_(state) {
    std::vector<c10::ClassTypePtr> types;
    for (const auto& module : root.modules())
      if (declare(*module.type())) types.push_back(module.type());
    for (const auto& type : types) copy_attributes(*type);
    for (const auto& type : types) copy_methods(*type, to_copy);
  }

  c10::intrusive_ptr<Object> copy(const Object& object) {
    if (const auto known = objects_.find(&object); known != objects_.end()) return known->second;
    const auto type = object.type();
    auto result = Object::create(c10::StrongTypePtr(unit_, types_.at(type.get())), type->numAttributes());
    for (size_t i = 0; i < type->numAttributes(); ++i) {
      const auto& value = object.getSlot(i);
      if (type->getAttribute(i)->is_module())
        result->setSlot(i, copy(value.toObjectRef()));
      else
        result->setSlot(i, state_ == CopiedState::shared || type->is_parameter(i) ? value : own(value));
    }
    objects_.emplace(&object, result);
    return result;
  }

 private:
  // False where the type is known already.
  bool declare(const ClassType& type) {
    if (types_.count(&type)) return false;
    auto copy = ClassType::create(unit_->mangle(type.name().value()), unit_, /*is_module=*/true);
    unit_->register_type(copy);
    types_.emplace(&type, std::move(copy));
    return true;
  }

  void copy_attributes(const ClassType& type) {
    auto& copy = *types_.at(&type);
    for (size_t i = 0; i < type.numAttributes(); ++i)
      copy.addAttribute(type.getAttributeName(i), translated(type.getAttribute(i)), type.is_parameter(i),
                        type.is_buffer(i));
    for (size_t i = 0; i < type.numConstants(); ++i) copy.addConstant(type.getConstantName(i), type.getConstant(i));
  }

  void copy_methods(const ClassType& type, const FunctionToCopy& to_copy) {
    auto& copy = *types_.at(&type);
    for (auto* method : type.methods()) {
      auto* function = to_copy(method);
      function->ensure_defined();
      auto* with_graph = jit::tryToGraphFunction(*function);
      if (!with_graph) {
        copy.addMethod(function);  // written in C++, it belongs to no unit
        continue;
      }
      const auto translate = [this](const TypePtr& of) { return translated(of); };
      auto graph = with_graph->graph()->copy();
      graph->remapTypes(translate);
      auto* method_copy = unit_->create_function(c10::QualifiedName(*copy.name(), method->name()), std::move(graph));
      method_copy->setSchema(function->getSchema().cloneWithRemappedTypes(translate));
      copy.addMethod(method_copy);
    }
  }

  // The type with the copied module types instead of the original ones.
  TypePtr translated(const TypePtr& type) const {
    if (const auto* module = type->castRaw<ClassType>()) {
      const auto found = types_.find(module);
      return found == types_.end() ? type : found->second;
    }
    switch (type->kind()) {
      case c10::TypeKind::ListType:
      case c10::TypeKind::DictType:
      case c10::TypeKind::TupleType:
      case c10::TypeKind::OptionalType:
        break;
      default:
        return type;
    }
    bool changed = false;
    std::vector<TypePtr> contained;
    for (const auto& part : type->containedTypes()) {
      contained.push_back(translated(part));
      changed |= contained.back() != part;
    }
    return changed ? type->createWithContained(std::move(contained)) : type;
  }

  IValue own(const IValue& value) {
    if (!value.isTensor() || !value.toTensor().defined()) return value.deepcopy();
    auto& copy = tensors_[value.toTensor().unsafeGetTensorImpl()];
    if (!copy.defined()) copy = value.toTensor().clone();
    return copy;
  }

  const CopiedState state_;
  std::shared_ptr<jit::CompilationUnit> unit_ = std::make_shared<jit::CompilationUnit>();
  std::unordered_map<const ClassType*, c10::ClassTypePtr> types_;
  std::unordered_map<const Object*, c10::intrusive_ptr<Object>> objects_;
  std::unordered_map<const at::TensorImpl*, Tensor> tensors_;
};

}  // namespace

jit::Module copy_module(const jit::Module& root, const FunctionToCopy& to_copy, CopiedState state) {
  return jit::Module(ModuleCopier(root, to_copy, state).copy(*root._ivalue()));
}

}  // namespace gradcam
