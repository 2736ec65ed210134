#include "findings.h"

#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>
#include <optional>
#include <unordered_set>

#include "module_walk.h"
#include "operators.h"

namespace gradcam {

namespace jit = torch::jit;
using jit::Node;

namespace {

bool is_zero(const Node* node, const char* argument) {
  const auto* schema = node->maybeSchema();
  const auto index = schema ? schema->argumentIndexWithName(argument) : std::nullopt;
  if (!index || *index >= static_cast<int>(node->inputs().size())) return false;
  const auto constant = jit::toIValue(node->input(static_cast<size_t>(*index)));
  return constant && constant->isDouble() && constant->toDouble() == 0;
}

// Random where their argument `train` or `training` is true.
bool is_dropout(const Node* node) {
  static const std::unordered_set<std::string> kDropouts{
      "dropout",        "dropout_",       "feature_dropout",       "feature_dropout_",       "alpha_dropout",
      "alpha_dropout_", "native_dropout", "feature_alpha_dropout", "feature_alpha_dropout_", "rrelu",
      "rrelu_"};
  return is_one_of(node, kDropouts);
}

bool draws(const Node* node) {
  static const std::unordered_set<std::string> kDrawing{
      "rand",      "rand_like", "randn",   "randn_like", "randint",    "randint_like", "randperm",
      "bernoulli", "normal",    "normal_", "uniform_",   "bernoulli_", "exponential_", "multinomial",
      "poisson",   "random_",   "cauchy_", "geometric_", "log_normal_"};
  return is_one_of(node, kDrawing);
}

std::optional<Finding::Kind> kind_of(const Frame& frame, const Node* node) {
  if (is_dropout(node))
    return (is_always(true, frame, node, "train") || is_always(true, frame, node, "training")) && !is_zero(node, "p")
               ? std::optional(Finding::Kind::random)
               : std::nullopt;
  if (draws(node)) return Finding::Kind::random;
  if (node->kind() == c10::aten::batch_norm && is_always(true, frame, node, "training"))
    return Finding::Kind::batch_statistics;
  return std::nullopt;
}

}  // namespace

std::vector<Finding> find_findings(jit::Graph& graph, const c10::ivalue::Object* self) {
  std::vector<Finding> found;
  walk_calls(graph, self, [&](const Frame& frame, Node* node) {
    const auto kind = kind_of(frame, node);
    if (!kind) return;
    const std::string op = node->kind().toQualString();
    const auto same = [&](const Finding& one) { return one.op == op && one.layer == frame.path; };
    if (std::none_of(found.begin(), found.end(), same)) found.push_back({*kind, op, frame.path});
  });
  return found;
}

std::vector<std::string> find_named_devices(jit::Graph& graph, const c10::ivalue::Object* self) {
  std::vector<std::string> devices;
  walk_calls(graph, self, [&](const Frame&, Node* node) {
    if (node->kind() != c10::prim::Constant || node->output()->type()->kind() != c10::TypeKind::DeviceObjType) return;
    const auto value = jit::toIValue(node->output());
    if (!value || !value->isDevice() || value->toDevice().is_cpu()) return;
    const auto name = value->toDevice().str();
    if (std::find(devices.begin(), devices.end(), name) == devices.end()) devices.push_back(name);
  });
  return devices;
}

Ending find_ending(jit::Graph& graph, const c10::ivalue::Object* self) {
  if (graph.outputs().size() != 1 || !graph.outputs()[0]->type()->isSubtypeOf(*c10::TensorType::get()))
    return Ending::other;
  std::optional<Ending> ending;
  Frame whole{&graph, ""};
  whole.self = self;
  for_each_origin(whole, graph.outputs()[0], {}, [&](const Frame&, Node* node) {
    const std::string name = node->kind().is_aten() ? node->kind().toUnqualString() : "";
    const auto one = name == "softmax" || name == "_softmax"           ? Ending::softmax
                     : name == "log_softmax" || name == "_log_softmax" ? Ending::log_softmax
                     : name == "sigmoid" || name == "sigmoid_"         ? Ending::sigmoid
                                                                       : Ending::other;
    ending = !ending || *ending == one ? one : Ending::other;
  });
  return ending.value_or(Ending::other);
}

}  // namespace gradcam
