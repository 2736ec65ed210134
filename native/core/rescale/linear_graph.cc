#include "linear_graph.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/generated/Functions.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "core/base/error.h"
#include "core/base/no_rule.h"
#include "rules.h"

namespace gradcam {

namespace ag = torch::autograd;

namespace {

// See moves_elements.
constexpr std::array<std::string_view, 58> kMoving = {
    "Where",
    "MaskedFill",
    "MaskedSelect",
    "View",
    "UnsafeView",
    "ReshapeAlias",
    "AsStrided",
    "Alias",
    "Clone",
    "ToCopy",
    "LazyClone",
    "T",
    "Transpose",
    "Permute",
    "Squeeze",
    "Unsqueeze",
    "Expand",
    "Repeat",
    "Cat",
    "Stack",
    "Slice",
    "Select",
    "Narrow",
    "Split",
    "UnsafeSplit",
    "SplitWithSizes",
    "UnsafeSplitWithSizes",
    "Unbind",
    "Chunk",
    "Diagonal",
    "Flip",
    "Roll",
    "Rot90",
    "Unfold",
    "Im2Col",
    "Tril",
    "Triu",
    "Index",
    "UnsafeIndex",
    "IndexSelect",
    "Gather",
    "Take",
    "PixelShuffle",
    "PixelUnshuffle",
    "ChannelShuffle",
    "ConstantPadNd",
    "ReflectionPad1D",
    "ReflectionPad2D",
    "ReflectionPad3D",
    "ReplicationPad1D",
    "ReplicationPad2D",
    "ReplicationPad3D",
    "UpsampleNearest1D",
    "UpsampleNearest2D",
    "UpsampleNearest3D",
    "UpsampleNearestExact1D",
    "UpsampleNearestExact2D",
    "UpsampleNearestExact3D",
};

// Sums with fixed coefficients. They and what moves_elements are linear in all their tensor arguments, except those
// that RescaleRecorder has found to be equal in both runs (indices, masks). Base names of autograd nodes: "Add" is
// AddBackward0.
constexpr std::array<std::string_view, 20> kSums = {
    "Add",
    "Sub",
    "Rsub",
    "Neg",
    "Sum",
    "Mean",
    "Cumsum",
    "Col2Im",
    "Trace",
    "AvgPool2D",
    "AvgPool3D",
    "AdaptiveAvgPool2D",
    "AdaptiveAvgPool3D",
    "MkldnnAdaptiveAvgPool2D",
    "UpsampleLinear1D",
    "UpsampleBilinear2D",
    "UpsampleTrilinear3D",
    "UpsampleBicubic2D",
    "UpsampleBilinear2DAa",
    "UpsampleBicubic2DAa",
};

// Products: linear where at most one of the factors depends on the input. `first` and `last` are the factors' edges.
struct Product {
  std::string_view name;
  size_t first, last;
};
constexpr std::array<Product, 20> kProducts = {{
    {"Mul", 0, 1},
    {"Mm", 0, 1},
    {"Bmm", 0, 1},
    {"Mv", 0, 1},
    {"Dot", 0, 1},
    {"Addmm", 1, 2},
    {"Addmv", 1, 2},
    {"Addbmm", 1, 2},
    {"Baddbmm", 1, 2},
    {"Addcmul", 1, 2},
    {"Linear", 0, 1},
    {"MkldnnLinear", 0, 1},
    {"Convolution", 0, 1},
    {"ConvolutionOverrideable", 0, 1},
    {"CudnnConvolution", 0, 1},
    {"CudnnConvolutionTranspose", 0, 1},
    {"MiopenConvolution", 0, 1},
    {"MkldnnConvolution", 0, 1},
    {"GridSampler2D", 0, 1},
    {"GridSampler3D", 0, 1},
}};

bool has_edge(const ag::Node& node, size_t index) {
  return index < node.num_outputs() && node.next_edge(index).is_valid();
}

// A batch norm that computes the statistics of the batch is not linear.
template <typename BatchNorm>
bool is_fixed(const ag::Node& node) {
  const auto* norm = dynamic_cast<const BatchNorm*>(&node);
  return norm && !norm->training;
}

}  // namespace

bool moves_elements(std::string_view node) { return std::find(kMoving.begin(), kMoving.end(), node) != kMoving.end(); }

bool is_linear(const ag::Node& node) {
  const auto name = node.name();
  if (name == "torch::autograd::AccumulateGrad" || name == "torch::autograd::CopyBackwards" ||
      name == "GradCamModuleBoundary")
    return true;
  const auto end = name.find("Backward");
  if (end == std::string::npos) return false;
  const auto base = std::string_view(name).substr(0, end);
  if (base == "NativeBatchNorm") return is_fixed<ag::generated::NativeBatchNormBackward0>(node);
  if (base == "CudnnBatchNorm") return is_fixed<ag::generated::CudnnBatchNormBackward0>(node);
  if (base == "MiopenBatchNorm") return is_fixed<ag::generated::MiopenBatchNormBackward0>(node);
  if (name == "DivBackward0") return !has_edge(node, 1);  // by a tensor
  if (name == "DivBackward1") return true;                // by a number; division that rounds has another node
  for (const auto& product : kProducts)
    if (product.name == base) return !(has_edge(node, product.first) && has_edge(node, product.last));
  return moves_elements(base) || std::find(kSums.begin(), kSums.end(), base) != kSums.end();
}

void require_linear_or_ruled(const Tensor& score) {
  std::unordered_set<const ag::Node*> seen;
  std::vector<const ag::Node*> todo{score.grad_fn().get()};  // the tensor keeps its graph alive
  while (!todo.empty()) {
    const auto* node = todo.back();
    todo.pop_back();
    if (!node || !seen.insert(node).second) continue;
    if (!has_rule(*node) && !is_linear(*node)) {
      const auto name = node->name();
      const auto operation = name.substr(0, name.find("Backward"));
      throw Error(
          "ERR_ACTIVATION",
          "The score goes through " + operation +
              ", which DeepLIFT's rescale rule does not cover: it is neither linear nor a function of one "
              "element (softmax, a layer norm and a product of two activations are neither), and with its plain "
              "gradient attributions would not add up to the difference of the scores.",
          without_rule(operation));
    }
    for (const auto& edge : node->next_edges()) todo.push_back(edge.function.get());
  }
}

}  // namespace gradcam
