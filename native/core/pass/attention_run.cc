#include "attention_run.h"

#include <torch/csrc/autograd/autograd.h>

#include "core/autograd/attention_nodes.h"
#include "core/base/error.h"

namespace gradcam {

void AttentionRun::capture(const std::vector<IValue>& inputs, const CancelFlag* cancel) {
  captured_.output = context_.model.run_and_restore(copy_inputs(inputs), nullptr, cancel);
}

Explained AttentionRun::differentiate(const Tensor& score, bool keep_graph) const {
  if (!score.requires_grad())
    throw Error("ERR_NO_GRADIENT", "The score has no gradient: it does not depend on the input.");
  const auto matrices = attention_matrices(score);
  const auto images = captured_.input.size(0);
  const Remedy other{"Use a method that needs no attention, such as Grad-CAM of a layer."};
  if (matrices.empty())
    throw Error("ERR_NO_ATTENTION",
                "The score depends on no attention: in the pass no softmax over the last dimension gave matrices "
                "[images, heads, tokens, tokens].",
                other);
  for (const auto& matrix : matrices)
    if (matrix.size(0) != images)
      throw Error(
          "ERR_NO_ATTENTION",
          "The model attends within parts of an image, such as Swin's windows: " + std::to_string(matrix.size(0)) +
              " attention matrices for " + std::to_string(images) + (images == 1 ? " image" : " images") +
              ". How much a token counts for another is then not in their product.",
          other);
  const auto gradients = torch::autograd::grad({score}, matrices, {}, keep_graph, /*create_graph=*/false,
                                               /*allow_unused=*/false);
  Explained explained;
  for (size_t i = 0; i < matrices.size(); ++i)
    explained.attention.push_back({matrices[i].detach(), gradients[i].detach()});
  return explained;
}

}  // namespace gradcam
