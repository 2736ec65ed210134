#include "torchscript_model.h"

#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <algorithm>
#include <set>

#include "attention_rewrite.h"
#include "core/base/device.h"
#include "core/base/error.h"
#include "core/graphs/inline_forks.h"
#include "core/graphs/state_writes.h"
#include "core/memory/caching_allocator.h"
#include "core/split/split_graph.h"
#include "core/split/split_ops.h"
#include "fingerprint.h"
#include "frozen_layers.h"
#include "loop_checks.h"
#include "max_pool_rewrite.h"
#include "randomize.h"
#include "refused_run.h"

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

std::optional<at::ScalarType> parameter_dtype(const jit::Module& module) {
  for (const auto& parameter : module.parameters())
    if (parameter.is_floating_point()) return parameter.scalar_type();
  return {};
}

std::string class_name(const c10::ClassType& type) { return type.name() ? type.name()->name() : "Module"; }

// What the registry holds for one run alone. A run inside a run cannot happen: one thread runs the model.
struct RunScope {
  RunScope(HookRegistry& hooks, CallObserver* observer, const CancelFlag* cancel) : hooks(hooks) {
    hooks.observer = observer;
    hooks.cancel = cancel;
  }
  ~RunScope() {
    hooks.observer = nullptr;
    hooks.cancel = nullptr;
    hooks.failure = nullptr;
    hooks.innermost = nullptr;
  }
  HookRegistry& hooks;
};

}  // namespace

std::shared_ptr<Model> TorchScriptModel::create(jit::Module module, const ModelOptions& options,
                                                InputContract contract) {
  // A frozen module has no attribute `training`, no submodules and no parameters: all of them became constants.
  if (!module.hasattr("training")) restore_layers(module);
  return {new TorchScriptModel(std::move(module), options, std::move(contract)), [](TorchScriptModel* last) {
            delete last;
            release_idle_tensor_memory();  // of its weights and its activations
          }};
}

TorchScriptModel::TorchScriptModel(jit::Module module, const ModelOptions& options, InputContract contract)
    : module_(std::move(module)),
      device_(options.device),
      dtype_(parameter_dtype(module_)),
      schema_(module_.get_method("forward").function().getSchema()),
      contract_(std::move(contract)),
      splits_(options.split_bytes.value_or(std::max(SplitCache::kMaxBytes, 4 * bytes_of_parameters(module_)))) {
  frozen_ = !module_.hasattr("training");
  for (const auto& submodule : module_.modules())
    if (submodule.hasattr("training")) submodule._ivalue()->setAttr("training", false);
  for (auto parameter : module_.parameters()) parameter.set_requires_grad(false);

  for (const auto& [path, submodule] : module_.named_modules()) {
    const auto type = submodule.type();
    submodules_.push_back(
        {path, class_name(*type), count_parameters(submodule), has_forward(*type), submodule._ivalue().get()});
  }
  read_code();
  rewrite_attention(module_);
  if (device_.is_cpu()) rewrite_max_pools(module_);
  insert_loop_checks(module_);
  trampolines_.emplace(module_, hooks_);
}

// Before the trampolines take the place of the code.
void TorchScriptModel::read_code() {
  for (auto* function : module_._ivalue()->compilation_unit()->get_functions()) {
    function->ensure_defined();
    if (const auto* with_graph = jit::tryToGraphFunction(*function)) hooks_.forks |= inline_forks(*with_graph->graph());
  }
  auto* forward = jit::tryToGraphFunction(module_.get_method("forward").function());
  if (!forward) return;
  auto& graph = *forward->graph();
  const auto* self = module_._ivalue().get();
  code_.findings = find_findings(graph, self);
  code_.ending = find_ending(graph, self);
  code_.first_convolutions = find_first_convolutions(graph, self);
  code_.index_inputs = find_index_inputs(graph, self);
  code_.devices = find_named_devices(graph, self);
  const auto writes = find_state_writes(graph, self);
  if (writes.empty()) return;
  code_.changes = writes.text();
  state_.emplace(module_, writes);
}

Capabilities TorchScriptModel::capabilities() const {
  return {/*hookable=*/!frozen_ || submodules_.size() > 1, /*splittable=*/true, /*differentiable=*/true};
}

std::vector<std::string> TorchScriptModel::operators() const {
  std::set<std::string> names;
  for (auto* function : module_._ivalue()->compilation_unit()->get_functions())
    if (const auto* with_graph = jit::tryToGraphFunction(*function))
      for_each_node(with_graph->graph()->block(), [&](jit::Node* node) { names.insert(node->kind().toQualString()); });
  return {names.begin(), names.end()};
}

std::string TorchScriptModel::fingerprint() {
  if (!fingerprint_) fingerprint_ = fingerprint_of(module_, operators());
  return *fingerprint_;
}

IValue TorchScriptModel::run(std::vector<IValue> inputs, CallObserver* observer, const CancelFlag* cancel) {
  for (auto& input : inputs)
    input = map_tensors(input, [this](const Tensor& t) { return t.device() == device_ ? t : to_device(t, device_); });
  convert_inputs(contract_, dtype_, inputs);
  check_inputs(contract_, inputs);
  unbind_image_lists(inputs, schema_, /*first=*/1);
  const RunScope scope(hooks_, observer, cancel);
  const CancelScope in_loops(cancel);
  // The profiling executor would fuse operators and hide ReLUs inside differentiable graphs of its own.
  const jit::GraphOptimizerEnabledGuard unoptimized(false);
  try {
    return module_.get_method("forward")(inputs);
  } catch (...) {
    if (cancel) cancel->check();  // the interpreter turned Cancelled into text
    rethrow_failure(inputs);
  }
}

// The error of a run: what a module threw, where the interpreter turned it into text.
void TorchScriptModel::rethrow_failure(const std::vector<IValue>& inputs) const {
  try {
    if (hooks_.failure) std::rethrow_exception(hooks_.failure);
    throw;
  } catch (const std::exception& error) {
    refuse_run(*this, inputs, error);
    throw;
  }
}

std::shared_ptr<SplitModel> TorchScriptModel::split(const SplitPlan& plan) {
  return splits_.find_or_build(plan, [&] { return build_split(plan); });
}

std::shared_ptr<SplitModel> TorchScriptModel::build_split(const SplitPlan& plan) const {
  for (const auto& layer : plan.layers) {
    const auto id = module_at(layer);
    if (std::count_if(submodules_.begin(), submodules_.end(), [&](const auto& info) { return info.id == id; }) > 1)
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

std::shared_ptr<Model> TorchScriptModel::randomized(const std::vector<std::string>& paths, uint64_t seed) {
  for (const auto& path : paths) {
    const auto known = [&](const auto& info) { return info.path == path; };
    if (std::none_of(submodules_.begin(), submodules_.end(), known)) module_at(path);  // says which paths there are
  }
  auto copy = trampolines_->copy_original(module_, CopiedState::own);
  if (!randomize_parameters(copy, paths, seed))
    throw Error(frozen_ ? "ERR_MODEL_FROZEN" : "ERR_INVALID_ARGUMENT", "The modules have no parameter to randomise.",
                Remedy{"Pick modules that have some, and a model that is not frozen."});
  std::shared_ptr<TorchScriptModel> model(
      new TorchScriptModel(std::move(copy), {device_, splits_.max_bytes()}, contract_));
  if (const auto own = batch(); own.min == own.max) model->take_at_once(own.min);
  model->units_ = units_;
  model->units_.push_back(module_._ivalue()->compilation_unit());
  return model;
}

}  // namespace gradcam
