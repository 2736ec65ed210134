#include "full_grad_run.h"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/maps/full_grad.h"
#include "core/maps/implicit_bias.h"
#include "core/model/input_layout.h"
#include "layer_observer.h"

namespace gradcam {

void FullGradRun::capture(const std::vector<IValue>& inputs, const CancelFlag* cancel) {
  const auto at = context_.plan.input;
  const auto* input = at < inputs.size() && inputs[at].isTensor() ? &inputs[at].toTensor() : nullptr;
  if (input && has_channels_last(context_.model, input->sizes(), at))
    throw Error(
        "ERR_SHAPE",
        "FullGrad needs an input whose channels come first, [N, C, H, W], but it is " + shape_text(*input) + ".",
        Remedy{"Export the model without the step that moves them, and give it [N, C, H, W]."});
  Tensor bias;
  const auto has_bias = [&](size_t layer, const Inputs& given, const Tensor& output) {
    if (output.dim() != captured_.input.dim()) return false;  // its positions are not those of the input
    const auto seen = context_.layer_objects.begin() + static_cast<std::ptrdiff_t>(layer);
    if (std::find(context_.layer_objects.begin(), seen, *seen) != seen) return false;  // it counts by another name
    // What is computed from another input has the positions of that one.
    if (inputs.size() > 1 && !output.requires_grad()) return false;
    bias = implicit_bias(context_.layer_objects[layer], given, output);
    return bias.defined();
  };
  LayerObserver observer(context_, captured_, has_bias,
                         [&](size_t, const Tensor& activation) { calls_.push_back({activation, bias}); });
  captured_.output = context_.model.run_and_restore(copy_inputs(inputs), &observer, cancel);
}

// Each call of a layer counts. Layers that the run did not reach, that have no bias, that have other spatial dimensions
// than the input, that are computed from other inputs alone or that the score does not depend on add nothing.
Explained FullGradRun::differentiate(const Tensor& score, bool keep_graph) const {
  const auto& input = captured_.input;
  std::vector<Tensor> sources = {input};
  for (const auto& call : calls_) sources.push_back(call.activation);
  if (!score.requires_grad())
    throw Error("ERR_NO_GRADIENT", "The score has no gradient: it does not depend on the input.");
  const auto gradients = torch::autograd::grad({score}, sources, {}, keep_graph, /*create_graph=*/false,
                                               /*allow_unused=*/true);
  if (!gradients.front().defined())
    throw Error("ERR_NO_GRADIENT", "The score does not depend on the input, so it has no gradient there.");
  if (input.dim() < 3 || input.dim() > 5)
    throw Error("ERR_SHAPE",
                "FullGrad needs an input with one to three spatial dimensions, such as [N, C, H, W], but "
                "it is " +
                    shape_text(input) + ".");
  std::vector<BiasEvidence> evidence;
  for (size_t i = 0; i < calls_.size(); ++i)
    if (gradients[i + 1].defined()) evidence.push_back({calls_[i].bias, gradients[i + 1]});
  Explained explained;
  const at::NoGradGuard no_graph;
  explained.input_gradient = gradients.front().detach();
  explained.full_grad = full_grad(evidence, input.detach(), explained.input_gradient);
  return explained;
}

}  // namespace gradcam
