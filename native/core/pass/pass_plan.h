#pragma once
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/autograd/relu_rule.h"
#include "core/base/value_parts.h"
#include "core/maps/maps.h"
#include "core/relevance/rule.h"
#include "core/split/split.h"

namespace gradcam {

// What a pass explains. The alternatives exclude each other.

struct KeptCut;

// What a layer is to return in place of its own output. Runs of a split model begin at it: `cut` holds what the head
// gave, once one has run.
struct ReplacedOutput {
  Tensor value;
  std::shared_ptr<KeptCut> cut;
};

// Maps of layers. Without methods: the activations and gradients alone.
struct LayerMaps {
  std::vector<std::string> layers;
  MapPlan maps;
  std::optional<int64_t> call;             // of a layer that runs several times, from 0; by default the last
  std::optional<PartPath> part;            // of layers that return tuples, lists, dicts or objects: see explained_part
  std::optional<ReplacedOutput> replaced;  // of the one layer
  Tensor rescaled_from;                    // a baseline, where what follows the layers has DeepLIFT's rescale rule
  std::optional<int64_t> concepts;         // into how many the activation of the one layer is factorized, without maps
};

// The gradient at the input.
struct InputGradient {};

// The same, where ReLUs follow a rule of their own.
enum class ReluScope { modules, all };
struct GuidedGradient {
  ReluScope scope = ReluScope::all;
  ReluRule rule = ReluRule::guided;
};

// The same, where nonlinearities follow DeepLIFT's rescale rule: see RescaleRecorder.
struct RescaledGradient {
  Tensor baseline;  // can be expanded to the input
};

// The relevance of the input, propagated by the rules of layers: see RelevanceGraph.
using Relevance = Composite;

// FullGrad's map. The layers are those with a bias.
struct FullGradient {
  std::vector<std::string> layers;
};

// The attention matrices of a transformer, and the gradients there. Where blocks of it are named, each matrix has the
// gradient of a score of its own: of what the model answers where its last block returns what that block does.
struct AttentionGradients {
  std::vector<std::string> blocks;
};

// The scores alone, without a gradient.
struct ScoresOnly {};

using Goal = std::variant<LayerMaps, InputGradient, GuidedGradient, RescaledGradient, Relevance, FullGradient,
                          AttentionGradients, ScoresOnly>;

// How a pass runs: see SplitModel. `automatic` is split wherever that is possible.
enum class Execution { automatic, split, hooked };

struct PassPlan {
  Goal goal;
  Execution execution = Execution::automatic;
  std::optional<at::ScalarType> head_dtype;     // what comes before the first layer computes in it; requires a split
  size_t input = 0;                             // which one of the model's inputs holds the images
  bool input_said = false;                      // the caller said so
  std::optional<std::string> score_layer = {};  // what it returns is what the target is of, and not the model's output

  template <typename Alternative>
  const Alternative* explains() const {
    return std::get_if<Alternative>(&goal);
  }
  // The layers whose activations are captured.
  const std::vector<std::string>& layers() const;
  // Whether the gradient at the input is computed.
  bool at_input() const;
  // False where no graph is recorded: scores, and methods that use activations alone.
  bool needs_gradient() const;
  // The baseline of DeepLIFT's rescale rule; undefined where no rule is asked for.
  Tensor rescaled_from() const;
  // Whether a method runs the model again.
  bool reruns() const;
  // Whether a split must open the ReLUs that the model itself does, and know which of them are modules.
  bool equally() const;
  SplitPlan split_plan() const { return {layers(), at_input(), head_dtype, equally()}; }
};

}  // namespace gradcam
