#include "first_convolution.h"

#include <torch/csrc/jit/ir/constants.h>

#include <set>
#include <unordered_set>

#include "module_walk.h"
#include "operators.h"

namespace gradcam {

namespace jit = torch::jit;
using jit::Node;
using jit::Value;

namespace {

constexpr int kMostSteps = 64;

bool is_convolution(const Node* node) {
  static const std::unordered_set<std::string> kNames{"conv1d", "conv2d", "conv3d", "_convolution", "convolution"};
  return is_one_of(node, kNames);
}

// Operators after which channel i is still made of channel i: scaling, conversion, padding, resizing.
bool keeps_channels(const Node* node) {
  static const std::unordered_set<std::string> kNames{"sub",
                                                      "sub_",
                                                      "add",
                                                      "add_",
                                                      "mul",
                                                      "mul_",
                                                      "div",
                                                      "div_",
                                                      "rsub",
                                                      "to",
                                                      "contiguous",
                                                      "clone",
                                                      "detach",
                                                      "float",
                                                      "half",
                                                      "double",
                                                      "type_as",
                                                      "clamp",
                                                      "clamp_",
                                                      "clamp_min",
                                                      "clamp_max",
                                                      "pad",
                                                      "constant_pad_nd",
                                                      "reflection_pad1d",
                                                      "reflection_pad2d",
                                                      "reflection_pad3d",
                                                      "replication_pad1d",
                                                      "replication_pad2d",
                                                      "replication_pad3d",
                                                      "batch_norm",
                                                      "instance_norm",
                                                      "upsample_nearest1d",
                                                      "upsample_nearest2d",
                                                      "upsample_nearest3d",
                                                      "upsample_linear1d",
                                                      "upsample_bilinear2d",
                                                      "upsample_bicubic2d",
                                                      "upsample_trilinear3d",
                                                      "_upsample_bilinear2d_aa",
                                                      "_upsample_bicubic2d_aa",
                                                      "avg_pool2d",
                                                      "max_pool2d",
                                                      "neg",
                                                      "nan_to_num",
                                                      "tanh",
                                                      "sigmoid"};
  return is_one_of(node, kNames);
}

// Whether a value is an input of the model, with its channels as they are; which one is put into `inputs`.
bool is_input(const Frame& frame, Value* value, std::set<size_t>& inputs, int steps = 0) {
  if (steps > kMostSteps) return false;
  bool is = true;
  const auto reached = [&](size_t input) { inputs.insert(input); };
  for_each_origin(frame, value, {.past_views = false, .reached = reached}, [&](const Frame& at, Node* node) {
    is = is && keeps_channels(node) && is_input(at, node->input(0), inputs, steps + 1);
  });
  return is;
}

// The constant or attribute that a value is; nothing where it is computed, or may be several.
std::optional<c10::IValue> known_value(const Frame& frame, Value* value) {
  std::optional<c10::IValue> known;
  int origins = 0;
  for_each_origin(frame, value, {.past_writes = true}, [&](const Frame& at, Node* node) {
    ++origins;
    if (node->kind() == c10::prim::GetAttr)
      known = attribute_value(at, node);
    else if (node->kind() == c10::prim::Constant)
      known = jit::toIValue(node->output());
  });
  return origins == 1 ? known : std::nullopt;
}

std::optional<c10::IValue> argument(const Frame& frame, Node* node, const char* name) {
  const auto* schema = node->maybeSchema();
  const auto index = schema ? schema->argumentIndexWithName(name) : std::nullopt;
  if (!index || *index >= static_cast<int>(node->inputs().size())) return std::nullopt;
  return known_value(frame, node->input(static_cast<size_t>(*index)));
}

std::optional<FirstConvolution> read(const Frame& frame, Node* node) {
  const auto weight = argument(frame, node, "weight");
  const auto groups = argument(frame, node, "groups");
  if (!weight || !weight->isTensor() || !groups || !groups->isInt()) return std::nullopt;
  const auto sizes = weight->toTensor().sizes();
  if (sizes.size() < 3 || sizes.size() > 5) return std::nullopt;
  const auto transposed = argument(frame, node, "transposed");
  const bool is_transposed = transposed && transposed->isBool() && transposed->toBool();
  return FirstConvolution{is_transposed ? sizes[0] : sizes[1] * groups->toInt(), static_cast<int64_t>(sizes.size()) - 2,
                          frame.path};
}

}  // namespace

std::vector<std::optional<FirstConvolution>> find_first_convolutions(jit::Graph& graph,
                                                                     const c10::ivalue::Object* self) {
  // The graph's first input is the module.
  std::vector<std::optional<FirstConvolution>> found(graph.inputs().empty() ? 0 : graph.inputs().size() - 1);
  bool seen = false;
  walk_calls(graph, self, [&](const Frame& frame, Node* node) {
    if ((seen && found.size() == 1) || !is_convolution(node)) return;
    seen = true;
    std::set<size_t> inputs;
    if (!is_input(frame, node->input(0), inputs) || inputs.size() != 1) return;
    const auto input = *inputs.begin();
    if (input > 0 && !found.at(input - 1)) found.at(input - 1) = read(frame, node);
  });
  return found;
}

std::vector<bool> find_index_inputs(jit::Graph& graph, const c10::ivalue::Object* self) {
  std::vector<bool> found(graph.inputs().empty() ? 0 : graph.inputs().size() - 1);
  static const std::unordered_set<std::string> kNames{"embedding", "embedding_bag"};
  walk_calls(graph, self, [&](const Frame& frame, Node* node) {
    if (!is_one_of(node, kNames)) return;
    std::set<size_t> inputs;
    if (!is_input(frame, node->input(1), inputs)) return;
    for (const auto input : inputs)
      if (input > 0) found.at(input - 1) = true;
  });
  return found;
}

}  // namespace gradcam
