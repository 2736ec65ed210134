#include "model.h"

#include <algorithm>
#include <utility>

#include "core/base/error.h"

namespace gradcam {

namespace {

std::vector<std::string> layers_of(const std::vector<SubmoduleInfo>& submodules) {
  std::vector<std::string> layers;
  for (const auto& info : submodules)
    if (info.hookable && !info.path.empty()) layers.push_back(info.path);
  return layers;
}

[[noreturn]] void throw_not_found(const std::string& path, const std::vector<SubmoduleInfo>& submodules) {
  if (layers_of(submodules).empty())
    throw Error("ERR_LAYER_NOT_FOUND",
                "The model has no layer '" + path +
                    "', and no layers at all: its code is in one module, as that of a traced function is.",
                Remedy{"Use a method of the input, or export the model with its modules."}, {{"layer", path}});
  throw Error("ERR_LAYER_NOT_FOUND",
              "The model has no layer '" + path + "'. `gradcam layers FILE` or model.namedModules() lists them all.",
              {{"layer", path}, {"candidates", layers_of(submodules)}});
}

[[noreturn]] void throw_frozen(const std::string& path, const std::vector<SubmoduleInfo>& submodules) {
  const auto layers = layers_of(submodules);
  const std::string named = "Its convolutions, activations and other operators are layers named after them, e.g. '" +
                            (layers.empty() ? "" : layers.front()) + "': `gradcam layers FILE` lists them. ";
  throw Error(
      "ERR_MODEL_FROZEN",
      "The model was frozen (torch.jit.freeze or optimize_for_inference), which removes its layers, so there is "
      "no '" +
          path + "' to look at. " + (layers.empty() ? "" : named) +
          "Save it without freezing: torch.jit.script(model.eval()).save(...).",
      {{"layer", path}, {"candidates", layers}});
}

[[noreturn]] void throw_not_called(const SubmoduleInfo& module, const std::vector<SubmoduleInfo>& submodules) {
  const auto named = "'" + module.path + "' (" + module.type_name + ") ";
  const bool has_inner = std::any_of(submodules.begin(), submodules.end(),
                                     [&](const auto& info) { return info.path.rfind(module.path + ".", 0) == 0; });
  if (has_inner)
    throw Error("ERR_LAYER_NOT_HOOKABLE",
                named + "is a container that the model never calls, so nothing can be seen there.",
                Remedy{"Pick one of the layers inside it."});
  throw Error("ERR_LAYER_NOT_HOOKABLE",
              named +
                  "has no code in the file, so nothing can be seen there: it is an empty container, or a layer that "
                  "returns its input (nn.Identity), which an exported program does not keep.",
              Remedy{"Pick the layer before it."});
}

}  // namespace

const CodeFacts& Model::code() const {
  static const CodeFacts kNothingFound;
  return kNothingFound;
}

IValue Model::run_and_restore(std::vector<IValue> inputs, CallObserver* observer, const CancelFlag* cancel) {
  const auto kept = keep_state();
  return run(std::move(inputs), observer, cancel);
}

BatchBounds Model::batch() const {
  const int64_t told = images_at_once_;
  return told > 0 ? BatchBounds{told, told} : contract().batch();
}

void Model::take_at_once(int64_t images) {
  images_at_once_ = images;
  rows.reset();
}

ModuleId Model::module_at(const std::string& path) const {
  const auto& all = submodules();
  const auto found = std::find_if(all.begin(), all.end(), [&](const auto& info) { return info.path == path; });
  if (found != all.end()) {
    if (found->hookable) return found->id;
    throw_not_called(*found, all);
  }
  if (!frozen()) throw_not_found(path, all);
  throw_frozen(path, all);
}

}  // namespace gradcam
