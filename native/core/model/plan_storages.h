#pragma once
#include <unordered_map>
#include <utility>
#include <vector>

#include "model_plan.h"

namespace gradcam {

// The tensors of a plan. A storage may hold several tensors that are views of it; equal views are one tensor, as tied
// weights are.
class PlanStorages {
 public:
  PlanStorages(const ModelPlan& plan, at::Device device) : plan_(plan), device_(device) {}

  // Throws an Error, ERR_MODEL_CORRUPT, where the tensor reaches past its storage, or the storage past its file.
  at::Tensor tensor(const ModelPlan::TensorEntry& entry);

 private:
  const at::Tensor& storage(size_t index);

  const ModelPlan& plan_;
  const at::Device device_;
  std::vector<at::Tensor> storages_;  // as bytes
  std::vector<std::pair<const ModelPlan::TensorEntry*, at::Tensor>> made_;
  std::unordered_multimap<size_t, size_t> made_of_;  // of a storage, positions in made_
};

}  // namespace gradcam
