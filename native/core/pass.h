#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "methods/method.h"
#include "model.h"
#include "target.h"

namespace gradcam {

enum class ReluScope { none, modules, all };

// What a pass has to see.
struct PassPlan {
  std::vector<std::string> layers;                // captured: activation, and after backward its gradient
  const LayerMethod* method = nullptr;            // the map to make of them
  bool input_gradient = false;                    // the gradient at the first input
  ReluScope guided = ReluScope::none;             // which ReLUs follow guided backpropagation's rule
};

struct LayerResult {
  Tensor activation, gradient, map;
};

struct Explained {
  std::vector<int64_t> classes;     // per image; empty when the score came from the caller
  Tensor scores;                    // [N] float64 on the CPU, or the caller's scalar as [1]
  std::vector<LayerResult> layers;  // in the plan's order
  Tensor input_gradient;            // the shape of the input
};

// One forward pass and the backward passes through it. All that it captures is its own: any number of passes over one
// model can be alive at once.
class Pass {
 public:
  // Refuses layers that the model does not have.
  Pass(std::shared_ptr<Model> model, PassPlan plan);

  // Replaces what an earlier forward captured. The graph starts at the first captured layer, or at the input where its
  // gradient is wanted; nothing before that records one.
  const IValue& forward(std::vector<IValue> inputs, const CancelFlag* cancel);

  // Backward from a class or from a scalar of the caller's own, down to the deepest captured layer and no further.
  // `keep_graph`: another backward may follow.
  Explained backward(const Target& target, bool keep_graph);
  Explained backward(const Tensor& score, bool keep_graph);

  int guided_relus() const { return guided_relus_; }
  const Model& model() const { return *model_; }
  void release();

 private:
  class Observer;

  Explained differentiate(const Tensor& score, bool keep_graph);

  std::shared_ptr<Model> model_;
  PassPlan plan_;
  std::vector<ObjectKey> layer_objects_;
  std::optional<IValue> output_;
  std::vector<Tensor> activations_;  // by layer: of its last call; undefined where the pass did not reach it
  Tensor input_;
  int guided_relus_ = 0;
};

}  // namespace gradcam
