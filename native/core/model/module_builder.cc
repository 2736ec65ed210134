#include "module_builder.h"

#include <torch/csrc/jit/frontend/resolver.h>
#include <torch/csrc/jit/frontend/sugared_value.h>

#include <functional>
#include <memory>

#include "core/base/error.h"
#include "core/base/warnings.h"
#include "plan_storages.h"

namespace gradcam {

namespace jit = torch::jit;

namespace {

[[noreturn]] void refuse_plan(const std::string& what) {
  throw Error("ERR_MODEL_CORRUPT", "The model cannot be built: " + what + ".",
              Remedy{"The file is damaged: export it again."});
}

// `ops.torchvision.nms`, as TorchScript files write it.
struct OperatorNamespaces : jit::SugaredValue {
  std::string kind() const override { return "operator namespaces"; }
  std::shared_ptr<jit::SugaredValue> attr(const jit::SourceRange&, jit::GraphFunction&,
                                          const std::string& name) override {
    return std::make_shared<jit::BuiltinModule>(name);
  }
};

// What the text of a method may name besides its module and its variables.
struct OperatorResolver : jit::Resolver {
  std::shared_ptr<jit::SugaredValue> resolveValue(const std::string& name, jit::GraphFunction&,
                                                  const jit::SourceRange&) override {
    if (name == "torch") return std::make_shared<jit::BuiltinModule>("aten");
    if (name == "annotate") return jit::SpecialFormValue::create(c10::prim::annotate);
    if (name == "ops") return std::make_shared<OperatorNamespaces>();
    return nullptr;
  }
};

std::vector<jit::Module> make_modules(const ModelPlan& plan) {
  const auto unit = std::make_shared<jit::CompilationUnit>();
  std::vector<jit::Module> modules;
  for (const auto& [path, type] : plan.modules) {
    modules.emplace_back(c10::QualifiedName(type), unit, /*shouldMangle=*/true);
    modules.back().register_attribute("training", c10::BoolType::get(), false);
  }
  if (modules.empty()) refuse_plan("it has no modules");
  return modules;
}

void require_free_name(const jit::Module& module, const std::string& name) {
  if (module.hasattr(name)) refuse_plan("a module has two attributes '" + name + "'");
}

void add_tensors(const ModelPlan& plan, at::Device device, std::vector<jit::Module>& modules) {
  PlanStorages storages(plan, device);
  for (const auto& entry : plan.tensors) {
    auto& module = modules.at(entry.module);
    require_free_name(module, entry.name);
    const auto tensor = storages.tensor(entry);
    if (entry.is_parameter)
      module.register_parameter(entry.name, tensor, /*is_buffer=*/false);
    else
      module.register_buffer(entry.name, tensor);
  }
}

// Children after all of their own, so that no module lies inside itself: each type is complete when it is added.
void add_children(const ModelPlan& plan, std::vector<jit::Module>& modules) {
  std::vector<std::vector<const ModelPlan::Child*>> of(modules.size());
  for (const auto& child : plan.children) of.at(child.module).push_back(&child);
  enum class State { unseen, open, done };
  std::vector<State> states(modules.size(), State::unseen);
  const std::function<void(size_t)> visit = [&](size_t index) {
    if (states.at(index) == State::done) return;
    if (states[index] == State::open) refuse_plan("a module lies inside itself");
    states[index] = State::open;
    for (const auto* child : of[index]) {
      visit(child->child);
      require_free_name(modules[index], child->name);
      modules[index].register_module(child->name, modules[child->child]);
    }
    states[index] = State::done;
  };
  visit(0);
}

[[noreturn]] void refuse_method(const std::string& path, const std::exception& cause) {
  const std::string text = cause.what();
  const std::string sign = "Unknown builtin op: ";
  if (const auto at = text.find(sign); at != std::string::npos) {
    const auto from = at + sign.size();
    auto name = text.substr(from, text.find_first_of(" .\n", from) - from);
    throw Error(
        "ERR_MODEL_OPERATOR", "The model uses the operator " + name + ", which is not registered.",
        Remedy{"Load the library that has it: the option `libraries`. Where LibTorch itself should have it, the "
               "file was written by a newer PyTorch."},
        {{"operator", name}});
  }
  throw Error("ERR_MODEL_UNSUPPORTED",
              "Module '" + path + "' of the exported program cannot be compiled: " + concise_message(cause),
              Remedy{"Save the model as TorchScript (torch.jit.trace)."});
}

}  // namespace

jit::Module build_module(const ModelPlan& plan, at::Device device) {
  auto modules = make_modules(plan);
  add_tensors(plan, device, modules);
  add_children(plan, modules);
  const auto resolver = std::make_shared<OperatorResolver>();
  // The text is ours: that its dicts hold values of several types is not for users to change.
  const CollectedWarnings unheard;
  for (const auto& [module, text] : plan.methods) {
    try {
      modules.at(module).define(text, resolver);
    } catch (const std::exception& cause) {
      if (is_out_of_memory(cause)) throw;
      refuse_method(plan.modules.at(module).path, cause);
    }
  }
  if (!modules.front().find_method("forward")) refuse_plan("it has no method `forward`");
  return modules.front();
}

}  // namespace gradcam
