#include "model.h"

#include <torch/csrc/jit/runtime/graph_executor.h>

#include <algorithm>

#include "core/base/device.h"
#include "core/base/error.h"
#include "core/base/nearest.h"
#include "core/memory/caching_allocator.h"
#include "core/split/split_graph.h"

namespace gradcam {

namespace jit = torch::jit;

namespace {

int64_t count_parameters(const jit::Module& module) {
  int64_t elements = 0;
  for (const auto& parameter : module.parameters()) elements += parameter.numel();
  return elements;
}

size_t bytes_of_parameters(const jit::Module& module) {
  size_t bytes = 0;
  for (const auto& parameter : module.parameters()) bytes += parameter.nbytes();
  return bytes;
}

std::string class_name(const c10::ClassType& type) { return type.name() ? type.name()->name() : "Module"; }

}  // namespace

std::shared_ptr<Model> Model::load(const ModelSource& source, at::Device device, std::optional<size_t> split_bytes) {
  auto* model = new Model(read_torchscript(source, device), device, split_bytes);
  return {model, [](Model* last) {
            delete last;
            release_idle_tensor_memory();  // its weights' and its activations'
          }};
}

Model::Model(jit::Module module, at::Device device, std::optional<size_t> split_bytes)
    : module_(std::move(module)),
      device_(device),
      schema_(module_.get_method("forward").function().getSchema()),
      splits_(split_bytes.value_or(std::max(SplitCache::kMaxBytes, 4 * bytes_of_parameters(module_)))) {
  // A frozen module has lost `training`, and with it its submodules and parameters: everything became a constant.
  frozen_ = !module_.hasattr("training");
  for (const auto& submodule : module_.modules())
    if (submodule.hasattr("training")) submodule._ivalue()->setAttr("training", false);
  for (auto parameter : module_.parameters()) parameter.set_requires_grad(false);

  for (const auto& [path, submodule] : module_.named_modules()) {
    const auto type = submodule.type();
    submodules_.push_back(
        {path, class_name(*type), count_parameters(submodule), type->findMethod("forward") != nullptr});
    by_path_.emplace(path, submodule._ivalue().get());
  }
  trampolines_.emplace(module_, calls_);
}

ObjectKey Model::instance(const std::string& path) const {
  const auto found = by_path_.find(path);
  if (found == by_path_.end()) {
    if (frozen_)
      throw Error(
          "ERR_MODEL_FROZEN",
          "The model was frozen (torch.jit.freeze or optimize_for_inference), which removes its layers, so there "
          "is no '" +
              path + "' to look at. Save it without freezing: torch.jit.script(model.eval()).save(...).");
    std::vector<std::string> names;
    for (const auto& info : submodules_)
      if (info.hookable && !info.path.empty()) names.push_back(info.path);
    std::string text = "The model has no layer '" + path + "'.";
    std::string separator = " Nearest: ";
    for (const auto& name : nearest_names(path, names)) {
      text += separator + "'" + name + "'";
      separator = ", ";
    }
    throw Error("ERR_LAYER_NOT_FOUND", text + ". `gradcam layers FILE` or model.namedModules() lists them all.");
  }
  const auto info = std::find_if(submodules_.begin(), submodules_.end(), [&](const auto& s) { return s.path == path; });
  if (!info->hookable)
    throw Error("ERR_LAYER_NOT_HOOKABLE", "'" + path + "' (" + info->type_name +
                                              ") is a container that the model never calls, so nothing can be seen "
                                              "there. Pick one of the layers inside it.");
  return found->second;
}

std::string Model::path_of(ObjectKey object) const {
  for (const auto& info : submodules_)
    if (by_path_.at(info.path) == object) return info.path;
  return {};
}

std::shared_ptr<SplitModel> Model::split(const SplitPlan& plan) {
  return splits_.find_or_build(plan, [&] { return build_split(plan); });
}

std::shared_ptr<SplitModel> Model::build_split(const SplitPlan& plan) const {
  for (const auto& layer : plan.layers) {
    const auto object = instance(layer);
    if (std::count_if(by_path_.begin(), by_path_.end(), [&](const auto& entry) { return entry.second == object; }) > 1)
      throw CannotSplit("layer '" + layer + "' is one module under several names");
  }
  try {
    return SplitModel::build(trampolines_->copy_original(module_, CopiedState::shared), plan);
  } catch (const CannotSplit&) {
    throw;
  } catch (const std::exception& error) {
    if (is_out_of_memory(error)) throw;
    throw CannotSplit("the model cannot be copied: " + concise_message(error));
  }
}

IValue Model::run(std::vector<IValue> inputs, CallObserver* observer, const CancelFlag* cancel) {
  for (auto& input : inputs)
    input = map_tensors(input, [this](const Tensor& t) { return t.device() == device_ ? t : to_device(t, device_); });

  // What stands in the table belongs to this run alone. A run inside a run cannot be: there is one thread of runs.
  struct Scope {
    CallTable& calls;
    ~Scope() {
      calls.observer = nullptr;
      calls.cancel = nullptr;
      calls.failure = nullptr;
      calls.innermost = nullptr;
    }
  } scope{calls_};
  calls_.observer = observer;
  calls_.cancel = cancel;

  // The profiling executor would fuse operators and hide ReLUs inside differentiable graphs of its own.
  const jit::GraphOptimizerEnabledGuard unoptimized(false);
  try {
    return module_.get_method("forward")(std::move(inputs));
  } catch (...) {
    if (calls_.failure) std::rethrow_exception(calls_.failure);
    throw;
  }
}

}  // namespace gradcam
