#include "operators.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "core/rescale/linear_graph.h"

namespace gradcam {

namespace ag = torch::autograd;

namespace {

// Base names of autograd nodes: "Add" is AddBackward0. Those that moves_elements is true of copy, too.
struct Row {
  std::string_view node;
  Treatment treatment;
};

constexpr auto kCopies = Treatment::copies;
constexpr auto kShares = Treatment::shares;
constexpr auto kActivation = Treatment::activation;

constexpr std::array<Row, 54> kTable = {{
    {"Convolution", Treatment::weighted},
    {"ConvolutionOverrideable", Treatment::weighted},
    {"Addmm", Treatment::weighted},
    {"Mm", Treatment::weighted},
    {"NativeBatchNorm", Treatment::batch_norm},
    {"CudnnBatchNorm", Treatment::batch_norm},
    {"MiopenBatchNorm", Treatment::batch_norm},

    {"Add", kShares},
    {"Sub", kShares},
    {"Rsub", kShares},
    {"Neg", kShares},
    {"Mul", kShares},
    {"Div", kShares},
    {"Sum", kShares},
    {"Mean", kShares},
    {"AvgPool2D", kShares},
    {"AvgPool3D", kShares},
    {"AdaptiveAvgPool2D", kShares},
    {"AdaptiveAvgPool3D", kShares},
    {"MkldnnAdaptiveAvgPool2D", kShares},
    {"UpsampleLinear1D", kShares},
    {"UpsampleBilinear2D", kShares},
    {"UpsampleTrilinear3D", kShares},
    {"UpsampleBicubic2D", kShares},
    {"UpsampleBilinear2DAa", kShares},
    {"UpsampleBicubic2DAa", kShares},

    {"Relu", kActivation},
    {"Hardtanh", kActivation},
    {"Clamp", kActivation},
    {"ClampMin", kActivation},
    {"ClampMax", kActivation},
    {"Threshold", kActivation},
    {"LeakyRelu", kActivation},
    {"PreluKernel", kActivation},
    {"RreluWithNoise", kActivation},
    {"Elu", kActivation},
    {"Celu", kActivation},
    {"Gelu", kActivation},
    {"Silu", kActivation},
    {"Mish", kActivation},
    {"Hardswish", kActivation},
    {"Hardsigmoid", kActivation},
    {"Softplus", kActivation},
    {"Softshrink", kActivation},
    {"Hardshrink", kActivation},
    {"Sigmoid", kActivation},
    {"Tanh", kActivation},
    {"LogSigmoid", kActivation},

    // A maximum is one of its elements: the winner takes all.
    {"MaxPool2DWithIndices", kCopies},
    {"MaxPool3DWithIndices", kCopies},
    {"AdaptiveMaxPool2D", kCopies},
    {"AdaptiveMaxPool3D", kCopies},
    {"Max", kCopies},
    {"Amax", kCopies},
}};

// Names of the operators whose calls are kept, as they record the nodes above.
constexpr std::array<std::string_view, 8> kWithArguments = {
    "convolution", "_convolution",      "convolution_overrideable", "addmm",
    "mm",          "native_batch_norm", "cudnn_batch_norm",         "miopen_batch_norm"};
constexpr std::array<std::string_view, 20> kWithResult = {"add",
                                                          "sub",
                                                          "rsub",
                                                          "neg",
                                                          "mul",
                                                          "div",
                                                          "sum",
                                                          "mean",
                                                          "avg_pool2d",
                                                          "avg_pool3d",
                                                          "_adaptive_avg_pool2d",
                                                          "_adaptive_avg_pool3d",
                                                          "mkldnn_adaptive_avg_pool2d",
                                                          "upsample_linear1d",
                                                          "upsample_bilinear2d",
                                                          "upsample_trilinear3d",
                                                          "upsample_bicubic2d",
                                                          "_upsample_bilinear2d_aa",
                                                          "_upsample_bicubic2d_aa",
                                                          "true_divide"};

bool leads_on(const ag::Node& node, size_t index) {
  return index < node.num_outputs() && node.next_edge(index).is_valid();
}

}  // namespace

Treatment treatment_of(const ag::Node& node) {
  const auto name = node.name();
  if (name == "torch::autograd::AccumulateGrad" || name == "torch::autograd::CopyBackwards" ||
      name == "GradCamModuleBoundary")
    return Treatment::copies;
  const auto end = name.find("Backward");
  if (end == std::string::npos) return Treatment::none;
  const auto base = std::string_view(name).substr(0, end);
  const auto row = std::find_if(kTable.begin(), kTable.end(), [&](const auto& one) { return one.node == base; });
  if (row == kTable.end()) return moves_elements(base) ? Treatment::copies : Treatment::none;
  // A product of two activations, or a quotient: neither is a sum with fixed coefficients.
  if ((base == "Mul" && leads_on(node, 0) && leads_on(node, 1)) || (name == "DivBackward0" && leads_on(node, 1)) ||
      (base == "Div" && name != "DivBackward0" && name != "DivBackward1"))
    return Treatment::none;
  // A function of two values: a bound that is computed from the input.
  if (row->treatment == kActivation)
    for (size_t i = 1; i < node.num_outputs(); ++i)
      if (leads_on(node, i)) return Treatment::none;
  return row->treatment;
}

KeptValues keeps_values(std::string_view name) {
  const auto has = [&](const auto& names) { return std::find(names.begin(), names.end(), name) != names.end(); };
  if (has(kWithArguments)) return KeptValues::arguments;
  return has(kWithResult) ? KeptValues::with_result : KeptValues::none;
}

}  // namespace gradcam
