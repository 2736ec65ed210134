#include "split_graph.h"

#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/alias_analysis.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/inliner.h>

#include <algorithm>
#include <numeric>
#include <unordered_map>
#include <unordered_set>

#include "core/graphs/module_walk.h"
#include "core/graphs/operators.h"
#include "core/hooks/trampolines.h"

namespace gradcam {

namespace jit = torch::jit;
using jit::Block;
using jit::Graph;
using jit::Node;
using jit::Value;

void for_each_node(Block* block, const std::function<void(Node*)>& fn) {
  for (auto* node : block->nodes()) {
    fn(node);
    for (auto* inner : node->blocks()) for_each_node(inner, fn);
    // Forked code is not a block of the node but a graph of its own.
    if (node->kind() == c10::prim::fork && node->hasAttribute(c10::attr::Subgraph))
      for_each_node(node->g(c10::attr::Subgraph)->block(), fn);
  }
}

namespace {

// A tap marks where a layer returns. It is an aten::clone with an attribute of our own: freezing keeps a clone with its
// attributes and folds nothing across it, so that no operator has to be registered.
const c10::Symbol kTap = c10::Symbol::attr("gradcam_layer");

bool is_tap(const Node* node) { return node->kind() == c10::aten::clone && node->hasAttribute(kTap); }

// Inlines the calls of modules around `layer` until the layer's own call is in the graph, and taps its output. Returns
// the number of calls. A call in a branch that never runs is none, as in `if self.has_residual: x + self.conv(x)`, or
// `if self.stride == 1`, with `self.conv(x)` otherwise.
int tap_layer(const std::shared_ptr<Graph>& graph, const c10::ivalue::Object* module, const std::string& layer,
              int64_t index) {
  Value* self = graph->inputs().at(0);
  Frame frame{graph.get(), ""};
  frame.self = module;
  frame.numbers_stay = true;  // find_taps refuses models that change any attribute
  std::unordered_set<Node*> tapped;
  for (;;) {
    Node *to_tap = nullptr, *to_inline = nullptr;
    for_each_that_may_run(frame, graph->block(), [&](Node* node) {
      if (to_tap || to_inline || node->kind() != c10::prim::CallMethod || tapped.count(node)) return;
      const auto path = path_below(self, node->input(0));
      if (!path) return;
      if (*path == layer && is_forward(node->s(c10::attr::name)))
        to_tap = node;
      else if (path->empty() || *path == layer || layer.starts_with(*path + "."))
        to_inline = node;
    });
    if (to_tap) {
      if (!to_tap->output()->type()->isSubtypeOf(*c10::TensorType::get()))
        throw CannotSplit("layer '" + layer + "' does not return a single tensor");
      jit::WithInsertPoint after(to_tap->next());
      auto* tap = graph->insert(c10::aten::clone, {to_tap->output()});
      tap->node()->i_(kTap, index);
      for (const auto& use : std::vector<jit::Use>(to_tap->output()->uses()))
        if (use.user != tap->node()) use.user->replaceInput(use.offset, tap);
      tapped.insert(to_tap);
    } else if (to_inline) {
      const auto type = to_inline->input(0)->type()->cast<c10::ClassType>();
      auto* function = type ? jit::tryToGraphFunction(type->getMethod(to_inline->s(c10::attr::name))) : nullptr;
      if (!function) throw CannotSplit("layer '" + layer + "' is called through an interface");
      jit::inlineCallTo(to_inline, function, /*use_graph=*/false);
    } else {
      return static_cast<int>(tapped.size());
    }
  }
}

bool is_of_object(const Node* set_attr) {
  const auto type = set_attr->inputs().empty() ? nullptr : set_attr->input(0)->type()->cast<c10::ClassType>();
  return type && !type->is_module();
}

// The taps in the order of execution. Throws CannotSplit where the graph cannot be cut.
std::vector<Node*> find_taps(Graph& graph, size_t layers) {
  std::vector<Node*> taps;
  for_each_node(graph.block(), [&](Node* node) {
    if (node->kind() == c10::prim::SetAttr)
      throw CannotSplit(is_of_object(node) ? "the model sets attributes of objects that are not modules"
                                           : "the model changes its own attributes");
    if (node->kind() == c10::prim::fork) throw CannotSplit("the model forks");
    if (node->kind() == c10::prim::Enter) throw CannotSplit("the model uses a with statement");
    if (!is_tap(node)) return;
    if (node->owningBlock() != graph.block()) throw CannotSplit("a target layer is called inside control flow");
    taps.push_back(node);
  });
  if (taps.size() != layers) throw CannotSplit("freezing the model removed the call of a target layer");
  return taps;
}

// Whether it returns its first input, which it changed.
bool is_in_place(const Node* node) {
  const auto written = written_inputs(node);
  if (written.empty() || written.front() != node->input(0) || node->outputs().size() != 1) return false;
  const auto* returned = node->schema().returns().front().alias_info();
  return returned && returned->isWrite();
}

// Where a layer changes its input in place, what reads that input after the layer reads what the layer returned: it
// is to read the tap, too. Throws CannotSplit where other values may be in the memory of what a layer returned.
void follow_other_names(Graph& graph, const std::vector<Node*>& taps) {
  if (taps.empty()) return;
  for (auto* tap : taps)
    for (const auto* node = tap->input(0)->node(); is_in_place(node); node = node->input(0)->node())
      node->input(0)->replaceAllUsesAfterNodeWith(tap, tap->output());
  const jit::AliasDb aliases(graph.shared_from_this());
  for (auto* tap : taps) {
    const auto refuse_alias = [&](const Value* value) {
      if (value == tap->input(0) || !aliases.mayContainAlias(const_cast<Value*>(value), tap->input(0))) return;
      const auto& uses = value->uses();
      if (std::any_of(uses.begin(), uses.end(), [&](const jit::Use& use) { return use.user->isAfter(tap); }))
        throw CannotSplit("another value may share the memory of what a target layer returned");
    };
    for (const auto* input : graph.inputs()) refuse_alias(input);
    for (const auto* node : graph.nodes()) {
      if (node == tap) break;
      for (const auto* output : node->outputs()) refuse_alias(output);
    }
  }
}

std::vector<size_t> layers_of(const std::vector<Node*>& taps) {
  std::vector<size_t> layers;
  for (const auto* tap : taps) layers.push_back(static_cast<size_t>(tap->i(kTap)));
  return layers;
}

using ValueMap = std::unordered_map<const Value*, Value*>;

// Appends a copy of `node` to `graph`. `map` maps its inputs, and gets its outputs.
void copy_node(Graph& graph, Node* node, ValueMap& map) {
  auto* copy = graph.insertNode(graph.createClone(node, [&](Value* value) { return map.at(value); }));
  for (size_t i = 0; i < node->outputs().size(); ++i) map[node->output(i)] = copy->output(i);
}

void copy_input(Graph& graph, const Value* input, ValueMap& map) {
  auto* copy = graph.addInput();
  copy->setType(input->type());
  map[input] = copy;
}

// A function returns one value: several are returned as a tuple.
void return_tuple(Graph& graph, const std::vector<Value*>& values) {
  graph.registerOutput(graph.insertNode(graph.createTuple(values))->output());
}

// What nodes after the cut use from before it: constants, which are copied, and live values, which are passed on.
struct Crossing {
  std::vector<Node*> constants;
  std::vector<Value*> live;

  void scan(const Graph& graph, const Node* cut, Node* user) {
    for (auto* value : user->inputs()) {
      auto* producer = value->node();
      const bool before = producer == graph.param_node() ||
                          (producer->owningBlock() == graph.block() && producer != cut && producer->isBefore(cut));
      if (!before) continue;
      if (producer->kind() == c10::prim::Constant) {
        if (!std::count(constants.begin(), constants.end(), producer)) constants.push_back(producer);
      } else if (!std::count(live.begin(), live.end(), value)) {
        live.push_back(value);
      }
    }
    for (auto* block : user->blocks()) {
      for (auto* node : block->nodes()) scan(graph, cut, node);
      scan(graph, cut, block->return_node());
    }
  }
};

// Freezing assumes that no gradients are computed and removes detach, which would change the gradient.
void refuse_detach(const jit::Module& root) {
  static const std::unordered_set<c10::Symbol> kDetaching{c10::aten::detach, c10::aten::detach_,
                                                          c10::Symbol::prim("data"), c10::aten::requires_grad_};
  for (const auto& module : root.modules())
    for (auto* method : module.type()->methods())
      if (auto* function = jit::tryToGraphFunction(*method))
        for_each_node(function->graph()->block(), [](Node* node) {
          if (kDetaching.count(node->kind())) throw CannotSplit("the model detaches values from the graph");
        });
}

}  // namespace

void insert_taps(const jit::Module& module, const std::vector<std::string>& layers) {
  refuse_detach(module);
  const auto graph = module.get_method("forward").graph();
  // The outer of two nested layers first: tapping the inner one inlines the call of the outer.
  std::vector<size_t> order(layers.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return layers[a].size() < layers[b].size(); });
  for (const auto i : order) {
    const int calls = tap_layer(graph, module._ivalue().get(), layers[i], static_cast<int64_t>(i));
    if (calls != 1)
      throw CannotSplit("the model's code calls layer '" + layers[i] + "' in " + std::to_string(calls) + " places");
  }
}

CutGraphs cut_at_first_tap(Graph& graph, size_t layers) {
  const auto taps = find_taps(graph, layers);
  follow_other_names(graph, taps);
  Node* cut = taps.front();
  std::vector<Node*> after;
  for (auto it = ++cut->iterator(); it != graph.nodes().end(); ++it) after.push_back(*it);
  Crossing crossing;
  for (auto* node : after) crossing.scan(graph, cut, node);
  crossing.scan(graph, cut, graph.return_node());

  CutGraphs result{std::make_shared<Graph>(), std::make_shared<Graph>(), layers_of(taps)};
  {
    ValueMap map;
    for (auto* input : graph.inputs()) copy_input(*result.head, input, map);
    for (auto* node : graph.nodes()) {
      if (node == cut) break;
      copy_node(*result.head, node, map);
    }
    std::vector<Value*> leaving{map.at(cut->input(0))};
    for (auto* value : crossing.live) leaving.push_back(map.at(value));
    return_tuple(*result.head, leaving);
    jit::EliminateDeadCode(result.head);
  }
  ValueMap map;
  map[cut->output()] = result.tail->addInput();
  for (auto* value : crossing.live) copy_input(*result.tail, value, map);
  for (auto* constant : crossing.constants) copy_node(*result.tail, constant, map);
  for (auto* node : after) copy_node(*result.tail, node, map);
  // The other layers: the model continues with the tap's copy, and the output of the layer itself is returned.
  std::vector<Value*> leaving{map.at(graph.outputs().at(0))};
  for (size_t i = 1; i < taps.size(); ++i) leaving.push_back(map.at(taps[i]->input(0)));
  return_tuple(*result.tail, leaving);
  return result;
}

CutGraphs cut_at_input(Graph& graph, size_t layers) {
  const auto taps = find_taps(graph, layers);
  follow_other_names(graph, taps);
  CutGraphs result{nullptr, std::make_shared<Graph>(), layers_of(taps)};
  ValueMap map;
  for (auto* input : graph.inputs()) copy_input(*result.tail, input, map);
  for (auto* node : graph.nodes()) copy_node(*result.tail, node, map);
  std::vector<Value*> leaving{map.at(graph.outputs().at(0))};
  for (const auto* tap : taps) leaving.push_back(map.at(tap->input(0)));
  return_tuple(*result.tail, leaving);
  return result;
}

CutGraphs keep_whole(Graph& graph) {
  find_taps(graph, 0);
  CutGraphs result{std::make_shared<Graph>(), nullptr, {}};
  ValueMap map;
  for (auto* input : graph.inputs()) copy_input(*result.head, input, map);
  for (auto* node : graph.nodes()) copy_node(*result.head, node, map);
  return_tuple(*result.head, {map.at(graph.outputs().at(0))});
  return result;
}

}  // namespace gradcam
