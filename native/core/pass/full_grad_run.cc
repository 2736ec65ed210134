#include "full_grad_run.h"

#include <torch/csrc/autograd/autograd.h>

#include "core/base/error.h"
#include "core/maps/full_grad.h"
#include "core/maps/implicit_bias.h"
#include "layer_observer.h"

namespace gradcam {

void FullGradRun::capture(const std::vector<IValue>& inputs, const CancelFlag* cancel) {
  biases_.assign(context_.layer_objects.size(), Tensor());
  LayerObserver observer(context_, captured_, [&](size_t layer, const Inputs& given, const Tensor& output) {
    if (output.dim() != captured_.input.dim()) return false;  // its positions are not those of the input
    biases_[layer] = implicit_bias(context_.layer_objects[layer], given, output);
    return biases_[layer].defined();
  });
  captured_.output = context_.model.run_and_restore(copy_inputs(inputs), &observer, cancel);
}

// Layers that the run did not reach, that have no bias, that have other spatial dimensions than the input or that the
// score does not depend on add nothing.
Explained FullGradRun::differentiate(const Tensor& score, bool keep_graph) const {
  const auto& input = captured_.input;
  std::vector<Tensor> sources = {input}, biases;
  for (size_t i = 0; i < captured_.activations.size(); ++i)
    if (captured_.activations[i].defined()) {
      sources.push_back(captured_.activations[i]);
      biases.push_back(biases_[i]);
    }
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
  for (size_t i = 0; i < biases.size(); ++i)
    if (gradients[i + 1].defined()) evidence.push_back({biases[i], gradients[i + 1]});
  Explained explained;
  const at::NoGradGuard no_graph;
  explained.input_gradient = gradients.front().detach();
  explained.full_grad = full_grad(evidence, input.detach(), explained.input_gradient);
  return explained;
}

}  // namespace gradcam
