#include "graph.h"

#include <torch/csrc/autograd/function.h>

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "core/autograd/graph_rewrite.h"
#include "core/autograd/in_place_view.h"
#include "core/rescale/linear_graph.h"
#include "nodes.h"
#include "operators.h"

namespace gradcam {

namespace ag = torch::autograd;

// Not in an anonymous namespace, see rescale/recorder.cc.
namespace relevance {

// What the graph was before it is rewritten. Nodes from the outputs down: each comes after all that lead to it.
struct Recorded {
  explicit Recorded(const std::vector<Tensor>& outputs) {
    std::vector<const ag::Node*> todo;
    for (const auto& output : outputs) use(output.grad_fn().get(), todo);
    while (!todo.empty()) {
      const auto* node = todo.back();
      todo.pop_back();
      nodes.push_back(node);
      for (const auto& edge : node->next_edges()) use(edge.function.get(), todo);
    }
  }

  bool only_way_to(const ag::Node& node) const { return uses.at(&node) == 1; }

  std::vector<const ag::Node*> nodes;
  std::unordered_map<const ag::Node*, int64_t> uses;

 private:
  void use(const ag::Node* node, std::vector<const ag::Node*>& todo) {
    if (node && uses[node]++ == 0) todo.push_back(node);
  }
};

}  // namespace relevance

namespace {

// Which edge of a weighted layer's node leads to its input.
size_t input_edge(const RecordedCall& call) { return operator_base_name(call.name) == "addmm" ? 1 : 0; }

bool is_convolution(const ag::Node& node) { return node.name().starts_with("Convolution"); }

}  // namespace

// Decides for each node of a graph what takes its place.
class RelevanceRewrite {
 public:
  RelevanceRewrite(const std::vector<Tensor>& outputs, const RelevanceTape& tape, const Composite& composite)
      : tape_(tape), composite_(composite), graph_(outputs) {
    for (const auto* node : graph_.nodes) find_layer(*node);
    for (const auto* node : graph_.nodes)
      if (treatment_of(*node) == Treatment::batch_norm) merge(*node);
    // Before anything is replaced: what lies below a layer says which rule it follows.
    for (auto& [node, layer] : layers_) layer.rule = rule_of(*node, layer);
  }

  NodePtr operator()(const NodePtr& node);

  std::unordered_map<const ag::Node*, Unruled> unruled;
  int rules = 0;

 private:
  struct Layer {
    WeightedLayer weighted;
    const RecordedCall* call;
    ag::Edge below;
    const Rule* rule = nullptr;  // null where its own does not apply
  };

  void find_layer(const ag::Node& node);
  void merge(const ag::Node& norm);
  bool merge_into_layer_below(const ag::Node& norm, const ChannelScale& scale);
  bool merge_into_layer_above(const ag::Node& norm, const ChannelScale& scale);
  NodePtr layer_node(const ag::Node& node, const Layer& layer);
  bool share(ag::Node& node);
  const Rule* rule_of(const ag::Node& node, const Layer& layer) const;
  bool is_first(const ag::Edge& below) const;
  bool sees_input(const ag::Edge& below) const;
  void refuse(const ag::Node& node, std::string why = {});

  const RelevanceTape& tape_;
  const Composite& composite_;
  relevance::Recorded graph_;
  std::unordered_map<const ag::Node*, Layer> layers_;
  std::unordered_map<const ag::Node*, const ag::Node*>
      merged_;  // a batch norm into the layer that it follows or leads to
};

void RelevanceRewrite::find_layer(const ag::Node& node) {
  if (treatment_of(node) != Treatment::weighted) return;
  const auto* call = tape_.call_of(node);
  auto layer = call ? weighted_layer(*call) : std::nullopt;
  // A weight that is computed from the input makes it a product of two activations.
  size_t ways = 0;
  for (const auto& edge : node.next_edges()) ways += edge.is_valid() ? 1 : 0;
  if (layer && ways == 1)
    layers_.emplace(&node, Layer{std::move(*layer), call, node.next_edge(input_edge(*call)), nullptr});
}

void RelevanceRewrite::merge(const ag::Node& norm) {
  const auto* call = tape_.call_of(norm);
  const auto scale = call ? channel_scale(*call) : std::nullopt;
  if (!scale) return refuse(norm, "it computes the statistics of the batch");
  const auto* below = norm.next_edge(0).function.get();
  if (below && below->name() == "GradCamModuleBoundary" && layers_.count(below->next_edge(0).function.get()))
    return refuse(norm, "a backward hook stands between it and the layer that it is merged into");
  if (!merge_into_layer_below(norm, *scale)) merge_into_layer_above(norm, *scale);
}

bool RelevanceRewrite::merge_into_layer_below(const ag::Node& norm, const ChannelScale& scale) {
  const auto* below = norm.next_edge(0).function.get();
  const auto layer = layers_.find(below);
  if (layer == layers_.end() || !graph_.only_way_to(*below)) return false;
  if (merged_.count(below) || !merge_after(layer->second.weighted, *layer->second.call, scale)) return false;
  merged_[&norm] = below;
  merged_[below] = &norm;
  return true;
}

bool RelevanceRewrite::merge_into_layer_above(const ag::Node& norm, const ChannelScale& scale) {
  if (!graph_.only_way_to(norm)) return false;
  for (auto& [node, layer] : layers_) {
    if (layer.below.function.get() != &norm) continue;
    if (!merge_before(layer.weighted, *layer.call, scale, tape_.call_of(norm)->tensor(0))) return false;
    layer.below = norm.next_edge(0);
    return true;
  }
  return false;
}

// A layer is the first where no other layer with a weight lies between it and the input.
bool RelevanceRewrite::is_first(const ag::Edge& below) const {
  std::unordered_set<const ag::Node*> seen;
  std::vector<const ag::Node*> todo{below.function.get()};
  while (!todo.empty()) {
    const auto* node = todo.back();
    todo.pop_back();
    if (!node || !seen.insert(node).second) continue;
    if (layers_.count(node)) return false;
    for (const auto& edge : node->next_edges()) todo.push_back(edge.function.get());
  }
  return true;
}

// Whether what lies below copies the input, so that its bounds hold there.
bool RelevanceRewrite::sees_input(const ag::Edge& below) const {
  for (const auto* node = below.function.get(); node && node->num_outputs() > 0;
       node = node->next_edge(0).function.get()) {
    const auto name = node->name();
    if (name == "torch::autograd::AccumulateGrad") return true;
    if (node->num_outputs() != 1 || treatment_of(*node) != Treatment::copies) return false;
  }
  return true;
}

const Rule* RelevanceRewrite::rule_of(const ag::Node& node, const Layer& layer) const {
  const auto* usual = is_convolution(node) ? &composite_.convolution : &composite_.linear;
  const auto* rule = composite_.first && is_first(layer.below) ? &*composite_.first : usual;
  return rule->formula == z_box_rule && !sees_input(layer.below) ? nullptr : rule;
}

NodePtr RelevanceRewrite::layer_node(const ag::Node& node, const Layer& layer) {
  if (!layer.rule) {
    refuse(node, "the z-box rule is for the layer that sees the input, whose bounds do not hold elsewhere");
    return {};
  }
  ++rules;
  return rule_node(layer.weighted, *layer.rule, layer.below, like_output(node));
}

bool RelevanceRewrite::share(ag::Node& node) {
  const auto* call = tape_.call_of(node);
  if (!call || !call->result.defined()) return false;
  std::vector<Tensor> summands;
  for (size_t i = 0; i < call->arguments.size(); ++i)
    if (call->arguments[i].isTensor()) summands.push_back(call->tensor(i));
  if (summands.size() < node.num_outputs()) return false;
  share_relevance(node, std::move(summands), call->result, composite_.epsilon);
  ++rules;
  return true;
}

void RelevanceRewrite::refuse(const ag::Node& node, std::string why) {
  const auto* call = tape_.call_of(node);
  const auto name = node.name();
  unruled[&node] = {call ? std::string(operator_base_name(call->name)) : name.substr(0, name.find("Backward")),
                    call ? call->module : nullptr, std::move(why)};
}

NodePtr RelevanceRewrite::operator()(const NodePtr& node) {
  if (node->name() == kRelevanceStart || unruled.count(node.get())) return {};
  if (auto* inner = in_place_on_view(*node)) {
    if (treatment_of(**inner) == Treatment::activation)
      *inner = pass_node(*inner);
    else
      refuse(*node);
    return {};
  }
  switch (treatment_of(*node)) {
    case Treatment::copies:
      return {};
    case Treatment::activation:
      return pass_node(node);
    case Treatment::shares:
      if (!share(*node)) refuse(*node);
      return {};
    case Treatment::weighted:
      if (const auto layer = layers_.find(node.get()); layer != layers_.end()) return layer_node(*node, layer->second);
      break;
    case Treatment::batch_norm:
      if (const auto merged = merged_.find(node.get()); merged != merged_.end())
        return layer_node(*node, layers_.at(merged->second));
      return pass_node(node);
    case Treatment::none:
      break;
  }
  refuse(*node);
  return {};
}

RelevanceGraph::RelevanceGraph(const std::vector<Tensor>& outputs, const RelevanceTape& tape,
                               const Composite& composite) {
  const at::NoGradGuard no_graph;
  RelevanceRewrite rewrite(outputs, tape, composite);
  rewrite_graph(outputs, [&](const NodePtr& node, bool) { return rewrite(node); });
  unruled_ = std::move(rewrite.unruled);
  rules_ = rewrite.rules;
}

std::optional<Unruled> RelevanceGraph::unruled(const Tensor& score) const {
  std::unordered_set<const ag::Node*> seen;
  std::vector<std::pair<const ag::Node*, bool>> todo{{score.grad_fn().get(), true}};
  while (!todo.empty()) {
    auto [node, above] = todo.back();
    todo.pop_back();
    if (!node || !seen.insert(node).second) continue;
    if (node->name() == kRelevanceStart) above = false;
    if (const auto found = unruled_.find(node); found != unruled_.end()) return found->second;
    if (above && !is_linear(*node)) {
      const auto name = node->name();
      return Unruled{name.substr(0, name.find("Backward")), nullptr, "the target is not linear in the output"};
    }
    for (const auto& edge : node->next_edges()) todo.emplace_back(edge.function.get(), above);
  }
  return {};
}

}  // namespace gradcam
