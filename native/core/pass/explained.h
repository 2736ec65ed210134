#pragma once
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/value_parts.h"
#include "core/maps/factors.h"
#include "core/maps/maps.h"
#include "core/model/model.h"

namespace gradcam {

struct LayerResult {
  LayerResult(Tensor activation, Tensor gradient)
      : activation(std::move(activation)), gradient(std::move(gradient)), shape(this->activation.sizes().vec()) {}

  Tensor activation, gradient;  // no gradient where no method needs one
  Tensor curvature;             // see LayerEvidence
  Tensor baseline;              // what it returned at the baseline, in a run that compares both
  std::vector<int64_t> shape;   // of what the layer returned
  int64_t calls = 1;            // how often the pass called the layer
  // Why a map says nothing, per image; empty where all maps of the pass say something.
  std::vector<bool> zero_activation, zero_gradient, non_finite;
  // Per image, whether its gradient adds up to zero over space in every channel; empty where no method averages it.
  std::vector<bool> cancelled_gradient;
};

// One attention matrix: rows are positions that attend, columns those that are attended to.
struct AttentionResult {
  Tensor weights, gradient;  // [N, heads, T, T]
};

// What the activation of a layer is made of, and the score of each concept.
struct FactorsFound {
  LayerFactors factors;
  Tensor scores;                 // [K, classes]; undefined where there are none
  std::exception_ptr no_scores;  // why
};

// The result of a backward pass.
struct Explained {
  // Per image; empty when the score came from the caller, or no method needed one and the target did not fit the
  // output.
  std::vector<int64_t> classes;
  PartPath of;                               // see ResolvedTarget::path
  Tensor scores;                             // [N] float64 on the CPU, or the caller's scalar as [1]
  std::vector<LayerResult> layers;           // in the plan's order
  std::vector<std::vector<MethodMap>> maps;  // by method, then by layer, or one of all layers where they are aggregated
  std::vector<std::exception_ptr> failures;  // by method: what kept it from its maps, which are then empty; else null
  // What kept a pass from evidence that only some of its methods need; null where it has it.
  std::exception_ptr no_gradient, no_curvature;
  Tensor input_gradient;                   // the shape of the input
  Tensor full_grad;                        // [N, 1, H, W]
  std::vector<AttentionResult> attention;  // in the order in which they were computed
  std::optional<FactorsFound> factors;     // where the plan asks for concepts
  std::optional<RowsFound> rows;           // what the model's probe found, where there was one
};

}  // namespace gradcam
