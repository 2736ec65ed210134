#pragma once
#include <string>
#include <unordered_map>
#include <vector>

#include "core/autograd/autograd_node.h"
#include "core/base/operator_calls.h"

namespace gradcam {

// One call of an operator on something that depends on the input.
struct RecordedCall {
  std::string name;               // "aten::convolution"
  const void* module = nullptr;   // that called it
  std::vector<IValue> arguments;  // tensors are outside the graph and as they were at the call; empty where no rule
  std::vector<bool> dependent;    // by argument: it depends on the input
  Tensor result;                  // the first; undefined where no rule needs it

  // Undefined where the argument is not a tensor.
  Tensor tensor(size_t argument) const;
  bool depends(size_t argument) const { return argument < dependent.size() && dependent[argument]; }
};

// Records which operator of a run made each node of its autograd graph, and the values that rules of relevance need.
class RelevanceTape : public OperatorCalls {
 public:
  // `module`: where the run says which module is being called; the tape reads it at each call.
  explicit RelevanceTape(const void* const& module) : module_(module) {}

  // Null for a node that no observed operator recorded.
  const RecordedCall* call_of(const torch::autograd::Node& node) const;
  // Frees all values.
  void clear();

 private:
  Context started(const std::string& name, std::vector<IValue> arguments) override;
  void ended(at::ObserverContext& call, const std::vector<IValue>& results) override;
  void keep_before_write(const Tensor& written);

  const void* const& module_;
  std::unordered_map<const torch::autograd::Node*, RecordedCall> calls_;
  std::vector<NodePtr> nodes_;  // kept, so that no other node gets the address of one
};

}  // namespace gradcam
