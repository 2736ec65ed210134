#pragma once
#include <functional>
#include <memory>

#include "core/base/ivalues.h"

namespace gradcam {

// DeepLIFT's rescale rule for two runs of a model, at an input x and at its baseline x0: Shrikumar et al. 2017,
// "Learning Important Features Through Propagating Activation Differences", arXiv:1704.02685, section 3.5.1. The run at
// x0 records the inputs and outputs of every operator. The run at x is compared with it call by call, and the autograd
// node of a nonlinearity gets a rule: the gradient g of its output becomes g (y - y0) / (x - x0), and keeps the node's
// own derivative where |x - x0| < 1e-10. Max-pooling has a rule of its own: see rules.h. Then the gradient at the input
// times x - x0 adds up to the difference of the scores, if everything else is linear: see linear_graph.h.
class RescaleRecorder {
 public:
  RescaleRecorder();
  ~RescaleRecorder();
  RescaleRecorder(const RescaleRecorder&) = delete;
  RescaleRecorder& operator=(const RescaleRecorder&) = delete;

  // Both with a graph, in this order. They return what `run` returns.
  IValue at_baseline(const std::function<IValue()>& run);
  // Throws ERR_ACTIVATION where the two runs differ in more than the values that depend on the input: in the operators
  // that they call (a branch on the input), or in other arguments of these (a mask computed from the input, dropout).
  IValue at_input(const std::function<IValue()>& run);

  // How many nonlinearities have their rule.
  int rules() const;

  class Recording;

 private:
  std::unique_ptr<Recording> recording_;
};

}  // namespace gradcam
