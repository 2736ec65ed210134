#pragma once
#include <torch/script.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/hooks/trampolines.h"
#include "core/split/split_cache.h"
#include "model.h"
#include "module_state.h"

namespace gradcam {

struct ModelOptions {
  at::Device device = at::kCPU;
  std::optional<size_t> split_bytes;  // what its splits may hold; by default see SplitCache
};

// A model that is a torch::jit::Module in a compilation unit of its own, as a TorchScript file gives it.
class TorchScriptModel final : public Model {
 public:
  // Takes the module over, with its unit, and changes both.
  static std::shared_ptr<Model> create(torch::jit::Module module, const ModelOptions& options,
                                       InputContract contract = {});

  const std::vector<SubmoduleInfo>& submodules() const override { return submodules_; }
  Capabilities capabilities() const override;
  bool frozen() const override { return frozen_; }
  at::Device device() const override { return device_; }
  std::optional<at::ScalarType> dtype() const override { return dtype_; }
  const c10::FunctionSchema& forward_schema() const override { return schema_; }
  std::vector<std::string> operators() const override;
  std::string fingerprint() override;
  HookRegistry& hooks() override { return hooks_; }
  const InputContract& contract() const override { return contract_; }

  IValue run(std::vector<IValue> inputs, CallObserver* observer, const CancelFlag* cancel) override;
  std::shared_ptr<SplitModel> split(const SplitPlan& plan) override;
  void give_up_split(const SplitPlan& plan, const std::string& reason) override { splits_.give_up(plan, reason); }
  bool keep_only_split(const SplitPlan& plan) override { return splits_.keep_only(plan); }
  const SplitCache& splits() const override { return splits_; }
  const CodeFacts& code() const override { return code_; }
  std::shared_ptr<void> keep_state() override { return state_ ? state_->keep() : nullptr; }
  std::shared_ptr<Model> randomized(const std::vector<std::string>& paths, uint64_t seed) override;

 private:
  TorchScriptModel(torch::jit::Module module, const ModelOptions& options, InputContract contract);

  std::shared_ptr<SplitModel> build_split(const SplitPlan& plan) const;
  void read_code();
  [[noreturn]] void rethrow_failure(const std::vector<IValue>& inputs) const;

  // Of the models that this one was copied from: functions that are not methods stay in the unit of the original.
  std::vector<std::shared_ptr<torch::jit::CompilationUnit>> units_;
  HookRegistry hooks_;
  // Called through the module's types, so they must be destroyed after it.
  std::optional<Trampolines> trampolines_;
  torch::jit::Module module_;
  at::Device device_;
  std::optional<at::ScalarType> dtype_;
  c10::FunctionSchema schema_;
  InputContract contract_;
  std::vector<SubmoduleInfo> submodules_;
  bool frozen_ = false;
  CodeFacts code_;
  std::optional<ModuleState> state_;
  std::optional<std::string> fingerprint_;
  SplitCache splits_;
};

}  // namespace gradcam
