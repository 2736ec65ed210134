#pragma once
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/hooks/hooks.h"
#include "core/split/split_cache.h"
#include "model_file.h"

namespace gradcam {

struct SubmoduleInfo {
  std::string path;        // "features.denseblock1"; empty for the model itself
  std::string type_name;   // "Conv2d"
  int64_t parameters = 0;  // elements, those of its submodules included
  bool hookable = false;   // has a forward that the model can call
};

// A loaded TorchScript model in eval mode, whose parameters require no gradients. Runs belong to one thread at a time;
// registering hooks and asking for layers may happen on any.
class Model {
 public:
  // `split_bytes` is what its splits may hold; by default see SplitCache.
  static std::shared_ptr<Model> load(const ModelSource& source, at::Device device,
                                     std::optional<size_t> split_bytes = std::nullopt);

  const std::vector<SubmoduleInfo>& submodules() const { return submodules_; }
  at::Device device() const { return device_; }
  const c10::FunctionSchema& forward_schema() const { return schema_; }
  CallTable& calls() { return calls_; }

  // The instance at `path`, or an error that names the nearest paths.
  ObjectKey instance(const std::string& path) const;
  // The paths of an instance: several where one module is shared.
  std::string path_of(ObjectKey object) const;

  // The model cut for a plan, made at the first call and kept for the next: see SplitCache. It runs none of the hooks.
  // Throws CannotSplit.
  std::shared_ptr<SplitModel> split(const SplitPlan& plan);
  // The split of this plan has turned out not to run.
  void give_up_split(const SplitPlan& plan, const std::string& reason) { splits_.give_up(plan, reason); }

  const SplitCache& splits() const { return splits_; }

  // A copy whose parameters in the modules of these paths, and in all below them, are drawn anew; the others are shared
  // with this one, which stays as it is. Not while this one runs.
  std::shared_ptr<Model> randomized(const std::vector<std::string>& paths, uint64_t seed);

  // One forward pass. Tensors on another device are moved to the model's. `observer` and `cancel` may be null.
  IValue run(std::vector<IValue> inputs, CallObserver* observer, const CancelFlag* cancel);

 private:
  Model(torch::jit::Module module, at::Device device, std::optional<size_t> split_bytes);

  std::shared_ptr<SplitModel> build_split(const SplitPlan& plan) const;

  CallTable calls_;
  // Called through the module's types, so they must be gone after it.
  std::optional<Trampolines> trampolines_;
  torch::jit::Module module_;
  at::Device device_;
  c10::FunctionSchema schema_;
  std::vector<SubmoduleInfo> submodules_;
  std::unordered_map<std::string, ObjectKey> by_path_;
  bool frozen_ = false;
  SplitCache splits_;
};

}  // namespace gradcam
