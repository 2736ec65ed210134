#pragma once
#include <ATen/record_function.h>

#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ivalues.h"

namespace gradcam {

// What one run is told of the operators that it calls: as the model calls them, not what their autograd kernels call.
class OperatorCalls {
 public:
  virtual ~OperatorCalls() = default;

  // Runs `run` on this thread and returns what it returns. Throws what `started` or `ended` threw: LibTorch logs and
  // drops what a callback throws, so it is kept until the run is over.
  IValue observe(const std::function<IValue()>& run);

 protected:
  using Context = std::unique_ptr<at::ObserverContext>;

  // Before a call. With null, `ended` is not called for it. Operators that these two call are not observed, and no
  // graph is recorded.
  virtual Context started(const std::string& name, std::vector<IValue> arguments) = 0;
  virtual void ended(at::ObserverContext& call, const std::vector<IValue>& results) = 0;

  // In `started` and `ended`: whether the model has a graph recorded there.
  bool in_graph() const { return graph_; }

 private:
  struct Callbacks;
  Context guarded(const std::function<Context()>& body);
  std::exception_ptr failure_;
  bool graph_ = false;
};

// Whether `holds` is true of any tensor in these values.
bool any_tensor(const std::vector<IValue>& values, const std::function<bool(const Tensor&)>& holds);

// The name of an operator without its namespace, and without the _ of one that works in place: "aten::relu_" is relu.
std::string_view operator_base_name(std::string_view name);

}  // namespace gradcam
