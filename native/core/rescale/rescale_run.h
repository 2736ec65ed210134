#pragma once
#include <functional>
#include <memory>

#include "core/base/ivalues.h"

namespace gradcam {

// DeepLIFT's rescale rule for one pair of runs, of an input x and of its baseline x0: Shrikumar et al. 2017, "Learning
// Important Features Through Propagating Activation Differences", arXiv:1704.02685, section 3.5.1. The run of x0 writes
// down what every operator was given and made. The run of x is compared with it call by call, and the node that
// recorded a nonlinearity gets a rule: the gradient g of its output goes on as g (y - y0) / (x - x0), and where |x -
// x0| < 1e-10 as its own derivative says. Max-pooling has one of its own, see rules.h. Afterwards the gradient at the
// input, times the input's own difference, adds up to the difference of the scores, whatever is linear in between.
class RescaleRun {
 public:
  RescaleRun();
  ~RescaleRun();
  RescaleRun(const RescaleRun&) = delete;
  RescaleRun& operator=(const RescaleRun&) = delete;

  // Both with a graph. What is returned is theirs.
  IValue at_baseline(const std::function<IValue()>& run);
  // ERR_ACTIVATION where the two runs differ in more than values: in the operators that they call (a branch that
  // depends on the input), or in what these are given besides (a mask made of the input, dropout).
  IValue at_input(const std::function<IValue()>& run);

  // How many nonlinearities have their rule.
  int rules() const;

  class Recorder;

 private:
  std::unique_ptr<Recorder> recorder_;
};

// ERR_ACTIVATION where the graph behind a score goes through anything that is neither linear in what it is given nor
// has a rule: softmax, layer norm, a product of two activations ... Its plain gradient would silently break the sum.
void require_rescaled(const Tensor& score);

}  // namespace gradcam
