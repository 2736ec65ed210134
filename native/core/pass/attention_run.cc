#include "attention_run.h"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "core/autograd/attention_nodes.h"
#include "core/base/error.h"
#include "layer_observer.h"
#include "replace_output.h"

namespace gradcam {

namespace {

const Remedy kOther{"Use a method that needs no attention, such as Grad-CAM of a layer."};

void require_whole_images(const std::vector<Tensor>& matrices, int64_t images) {
  for (const auto& matrix : matrices)
    if (matrix.size(0) != images)
      throw Error(
          "ERR_NO_ATTENTION",
          "The model attends within parts of an image, such as Swin's windows: " + std::to_string(matrix.size(0)) +
              " attention matrices for " + std::to_string(images) + (images == 1 ? " image" : " images") +
              ". How much a token counts for another is then not in their product.",
          kOther);
}

}  // namespace

void AttentionRun::capture(const std::vector<IValue>& inputs, const CancelFlag* cancel) {
  LayerObserver blocks(context_, captured_);
  captured_.output = context_.model.run_and_restore(copy_inputs(inputs), &blocks, cancel);
  if (context_.plan.layers().empty()) return;
  for (const auto& input : inputs)
    inputs_.push_back(map_tensors(input, [](const Tensor& t) { return t.detach().clone(); }));
}

std::vector<AttentionRun::Block> AttentionRun::blocks_in_order() const {
  std::vector<Block> blocks;
  const auto& paths = context_.plan.layers();
  for (size_t i = 0; i < paths.size(); ++i) {
    if (!captured_.activations[i].defined())
      throw Error("ERR_LAYER_NOT_REACHED", "The forward pass never called block '" + paths[i] + "' with this input.",
                  Remedy{"Name the blocks that the model calls (`blocks`)."});
    blocks.push_back({i, attention_matrices(captured_.activations[i])});
  }
  std::stable_sort(blocks.begin(), blocks.end(),
                   [](const Block& a, const Block& b) { return a.matrices.size() < b.matrices.size(); });
  for (size_t i = 0; i < blocks.size(); ++i)
    if (blocks[i].matrices.size() <= (i == 0 ? 0 : blocks[i - 1].matrices.size()))
      throw Error("ERR_NO_ATTENTION",
                  "Block '" + paths[blocks[i].layer] +
                      "' has no attention of its own: in it no softmax over the last dimension gave matrices "
                      "[images, heads, tokens, tokens].",
                  Remedy{"Name the blocks that attend (`blocks`), or use a method that needs no attention."});
  return blocks;
}

IValue AttentionRun::run_with(size_t last, const Tensor& output, const CancelFlag* cancel) const {
  std::vector<IValue> inputs;
  for (const auto& input : inputs_) inputs.push_back(map_tensors(input, [](const Tensor& t) { return t.clone(); }));
  ReplaceOutput instead(context_.layer_objects[last], context_.plan.layers()[last], output);
  return context_.model.run_and_restore(std::move(inputs), &instead, cancel);
}

std::vector<AttentionResult> AttentionRun::by_block(const std::function<Tensor(const IValue&)>& score_of,
                                                    const CancelFlag* cancel) const {
  const auto blocks = blocks_in_order();
  const auto last = blocks.back().layer;
  std::vector<AttentionResult> found;
  for (const auto& block : blocks) {
    if (cancel) cancel->check();
    const auto& output = captured_.activations[block.layer];
    const auto& matrix = block.matrices.back();
    require_whole_images({matrix}, captured_.input.size(0));
    const auto score = score_of(run_with(last, output, cancel));
    if (!score.requires_grad())
      throw Error("ERR_NO_GRADIENT", "The score does not depend on block '" + context_.plan.layers()[last] + "'.",
                  Remedy{"Name blocks on the way to what is explained (`blocks`)."});
    const auto gradients = torch::autograd::grad({score}, {matrix}, {}, /*retain_graph=*/true, /*create_graph=*/false,
                                                 /*allow_unused=*/true);
    if (!gradients.front().defined())
      throw Error("ERR_NO_GRADIENT",
                  "The score does not depend on the attention of block '" + context_.plan.layers()[block.layer] + "'.");
    found.push_back({matrix.detach(), gradients.front().detach()});
  }
  return found;
}

Explained AttentionRun::differentiate(const Tensor& score, bool keep_graph) const {
  if (!score.requires_grad())
    throw Error("ERR_NO_GRADIENT", "The score has no gradient: it does not depend on the input.");
  const auto matrices = attention_matrices(score);
  const auto images = captured_.input.size(0);
  if (matrices.empty())
    throw Error("ERR_NO_ATTENTION",
                "The score depends on no attention: in the pass no softmax over the last dimension gave matrices "
                "[images, heads, tokens, tokens].",
                kOther);
  require_whole_images(matrices, images);
  const auto gradients = torch::autograd::grad({score}, matrices, {}, keep_graph, /*create_graph=*/false,
                                               /*allow_unused=*/false);
  Explained explained;
  for (size_t i = 0; i < matrices.size(); ++i)
    explained.attention.push_back({matrices[i].detach(), gradients[i].detach()});
  return explained;
}

}  // namespace gradcam
