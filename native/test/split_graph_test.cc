// Cutting graphs, on small graphs written by hand whose values are worked out by hand.
#include "core/split/split_graph.h"

#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/irparser.h>
#include <torch/script.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "check.h"
#include "core/split/split.h"
#include "core/split/split_dump.h"

namespace gradcam::test {

namespace {

namespace jit = torch::jit;

using GraphPtr = std::shared_ptr<jit::Graph>;

GraphPtr parse(const std::string& ir) {
  auto graph = std::make_shared<jit::Graph>();
  jit::parseIR(ir, graph.get());
  return graph;
}

Tensor numbers(const std::vector<double>& values) { return torch::tensor(values, at::kDouble); }

// The elements of the tuple that a graph returns.
std::vector<IValue> values_of_graph(const GraphPtr& graph, std::vector<IValue> inputs) {
  jit::GraphFunction function("graph", graph, nullptr);
  const jit::GraphOptimizerEnabledGuard unoptimized(false);
  function.run(inputs);
  return inputs.back().toTupleRef().elements().vec();
}

void expect_values(const IValue& value, const std::vector<double>& expected, int line) {
  const auto& tensor = value.toTensor();
  if (!at::equal(tensor, numbers(expected))) {
    std::ostringstream text;
    text << "the values are " << tensor.flatten() << ", expected " << numbers(expected);
    auto flat = text.str();
    std::replace(flat.begin(), flat.end(), '\n', ' ');
    fail(line, flat);
  }
}

size_t count(const GraphPtr& graph, const char* kind) {
  size_t nodes = 0;
  for_each_node(graph->block(), [&](jit::Node* node) { nodes += node->kind() == c10::Symbol::fromQualString(kind); });
  return nodes;
}

// %doubled skips the layer, whose output is %b.
const char* const kSkip = R"IR(
graph(%x : Tensor):
  %one : int = prim::Constant[value=1]()
  %two : float = prim::Constant[value=2.]()
  %none : NoneType = prim::Constant()
  %doubled : Tensor = aten::mul(%x, %two)
  %unused : Tensor = aten::neg(%x)
  %b : Tensor = aten::relu(%doubled)
  %tap : Tensor = aten::clone[gradcam_layer=0](%b, %none)
  %sum : Tensor = aten::add(%tap, %doubled, %one)
  %y : Tensor = aten::mul(%sum, %two)
  return (%y)
)IR";

}  // namespace

TEST_CASE("split graph: a skip connection is passed from the head to the tail") {
  const auto cut = cut_at_first_tap(*parse(kSkip), 1);
  const auto head = values_of_graph(cut.head, {numbers({-1, 3})});
  EXPECT_EQUAL(head.size(), 2u);
  expect_values(head[0], {0, 6}, __LINE__);
  expect_values(head[1], {-2, 6}, __LINE__);
  const auto tail = values_of_graph(cut.tail, {head[0], head[1]});
  EXPECT_EQUAL(tail.size(), 1u);
  expect_values(tail[0], {-4, 24}, __LINE__);
  // 2 * (1 - 2) and 2 * (1 + 6): the tail computes from the activation that it is given.
  expect_values(values_of_graph(cut.tail, {numbers({1, 1}), head[1]})[0], {-2, 14}, __LINE__);
}

TEST_CASE("split graph: each half has its own operators, and constants in both instead of live values") {
  const auto cut = cut_at_first_tap(*parse(kSkip), 1);
  EXPECT_EQUAL(count(cut.head, "aten::mul"), 1u);
  EXPECT_EQUAL(count(cut.head, "aten::relu"), 1u);
  EXPECT_EQUAL(count(cut.head, "aten::add"), 0u);
  EXPECT_EQUAL(count(cut.head, "aten::neg"), 0u);  // nothing uses it
  EXPECT_EQUAL(count(cut.tail, "aten::mul"), 1u);
  EXPECT_EQUAL(count(cut.tail, "aten::relu"), 0u);
  EXPECT_EQUAL(cut.tail->inputs().size(), 2u);
  EXPECT(cut.tap_layers == std::vector<size_t>{0});
}

TEST_CASE("split graph: values that only a nested block uses are live, too") {
  const auto graph = parse(R"IR(
graph(%x : Tensor, %flag : bool):
  %one : int = prim::Constant[value=1]()
  %two : float = prim::Constant[value=2.]()
  %none : NoneType = prim::Constant()
  %a : Tensor = aten::mul(%x, %two)
  %c : Tensor = aten::neg(%x)
  %tap : Tensor = aten::clone[gradcam_layer=0](%a, %none)
  %y : Tensor = prim::If(%flag)
    block0():
      %sum : Tensor = aten::add(%tap, %c, %one)
      -> (%sum)
    block1():
      -> (%c)
  return (%y)
)IR");
  const auto cut = cut_at_first_tap(*graph, 1);
  for (const bool flag : {true, false}) {
    auto values = values_of_graph(cut.head, {numbers({1, -4}), flag});
    EXPECT_EQUAL(values.size(), 3u);  // %a, %flag and %c
    const auto tail = values_of_graph(cut.tail, values);
    // Twice x less x, or minus x.
    expect_values(tail[0], flag ? std::vector<double>{1, -4} : std::vector<double>{-1, 4}, __LINE__);
  }
}

TEST_CASE("split graph: several layers, in the order in which they run") {
  const auto cut = cut_at_first_tap(*parse(R"IR(
graph(%x : Tensor):
  %three : float = prim::Constant[value=3.]()
  %none : NoneType = prim::Constant()
  %a : Tensor = aten::mul(%x, %three)
  %first : Tensor = aten::clone[gradcam_layer=1](%a, %none)
  %b : Tensor = aten::neg(%first)
  %second : Tensor = aten::clone[gradcam_layer=0](%b, %none)
  %y : Tensor = aten::relu_(%second)
  return (%y)
)IR"),
                                    2);
  EXPECT((cut.tap_layers == std::vector<size_t>{1, 0}));
  const auto head = values_of_graph(cut.head, {numbers({1, -2})});
  EXPECT_EQUAL(head.size(), 1u);
  expect_values(head[0], {3, -6}, __LINE__);
  const auto tail = values_of_graph(cut.tail, head);
  expect_values(tail[0], {0, 6}, __LINE__);
  expect_values(tail[1], {-3, 6}, __LINE__);  // as layer 0 returned it, before the ReLU changed its copy in place
}

TEST_CASE("split graph: cut at the input, the tail returns the output and every layer's") {
  const auto cut = cut_at_input(*parse(kSkip), 1);
  EXPECT(cut.head == nullptr);
  const auto tail = values_of_graph(cut.tail, {numbers({-1, 3})});
  EXPECT_EQUAL(tail.size(), 2u);
  expect_values(tail[0], {-4, 24}, __LINE__);
  expect_values(tail[1], {0, 6}, __LINE__);
}

TEST_CASE("split graph: without layers the head is the whole graph") {
  const auto cut = keep_whole(*parse(R"IR(
graph(%x : Tensor):
  %y : Tensor = aten::neg(%x)
  return (%y)
)IR"));
  EXPECT(cut.tail == nullptr);
  const auto head = values_of_graph(cut.head, {numbers({5, -1})});
  EXPECT_EQUAL(head.size(), 1u);
  expect_values(head[0], {-5, 1}, __LINE__);
}

TEST_CASE("split graph: graphs that cannot be cut are refused with the reason") {
  for (const auto& [kind, text] :
       std::vector<std::pair<c10::Symbol, std::string>>{{c10::prim::SetAttr, "changes its own attributes"},
                                                        {c10::prim::fork, "forks"},
                                                        {c10::prim::Enter, "with"}}) {
    const auto graph = parse(kSkip);
    graph->insertNode(graph->create(kind, 0));
    EXPECT_THROWS(CannotSplit, cut_at_first_tap(*graph, 1), text);
    EXPECT_THROWS(CannotSplit, cut_at_input(*graph, 1), text);
  }
  EXPECT_THROWS(CannotSplit, cut_at_first_tap(*parse(kSkip), 2), "removed the call of a target layer");
  EXPECT_THROWS(CannotSplit, keep_whole(*parse(kSkip)), "removed the call of a target layer");
  const auto nested = parse(R"IR(
graph(%x : Tensor, %flag : bool):
  %none : NoneType = prim::Constant()
  %y : Tensor = prim::If(%flag)
    block0():
      %tap : Tensor = aten::clone[gradcam_layer=0](%x, %none)
      -> (%tap)
    block1():
      -> (%x)
  return (%y)
)IR");
  EXPECT_THROWS(CannotSplit, cut_at_first_tap(*nested, 1), "inside control flow");
}

namespace {

// forward(x) = inner(2 x) + x, with inner(x) = leaf(x) - 1 and leaf as given.
jit::Module nested_module(const std::string& leaf_code,
                          const std::string& inner_code = "return self.leaf.forward(x) - 1.0") {
  jit::Module leaf("Leaf"), inner("Inner"), root("Root");
  leaf.define("def forward(self, x):\n    " + leaf_code + "\n");
  inner.register_module("leaf", leaf);
  inner.define("def forward(self, x):\n    " + inner_code + "\n");
  root.register_module("inner", inner);
  root.define("def forward(self, x):\n    return self.inner.forward(x * 2.0) + x\n");
  return root;
}

size_t count_calls(const jit::Module& module) {
  return count(module.get_method("forward").graph(), "prim::CallMethod");
}

}  // namespace

TEST_CASE("split graph: a tap inlines the calls around its layer alone") {
  const auto outer = nested_module("return torch.relu(x)");
  insert_taps(outer, {"inner"});
  EXPECT_EQUAL(count(outer.get_method("forward").graph(), "aten::clone"), 1u);
  EXPECT_EQUAL(count_calls(outer), 1u);  // of inner, which stays a call
  EXPECT_EQUAL(count(outer.get_method("forward").graph(), "aten::sub"), 0u);

  const auto both = nested_module("return torch.relu(x)");
  insert_taps(both, {"inner.leaf", "inner"});
  EXPECT_EQUAL(count(both.get_method("forward").graph(), "aten::clone"), 2u);
  EXPECT_EQUAL(count_calls(both), 1u);  // of leaf
  EXPECT_EQUAL(count(both.get_method("forward").graph(), "aten::sub"), 1u);
}

TEST_CASE("split graph: layers that are not called exactly once, or detached values, are refused") {
  EXPECT_THROWS(
      CannotSplit,
      insert_taps(nested_module("return torch.relu(x)", "return self.leaf.forward(x) + self.leaf.forward(-x)"),
                  {"inner.leaf"}),
      "calls layer 'inner.leaf' in 2 places");
  EXPECT_THROWS(CannotSplit, insert_taps(nested_module("return torch.relu(x)", "return x"), {"inner.leaf"}),
                "in 0 places");
  EXPECT_THROWS(CannotSplit,
                insert_taps(nested_module("return (x, x)", "return self.leaf.forward(x)[0]"), {"inner.leaf"}),
                "does not return a single tensor");
  EXPECT_THROWS(CannotSplit, insert_taps(nested_module("return torch.relu(x).detach()"), {"inner"}), "detaches");
}

namespace {

// Two branches that each call `leaf`, of which `turn` decides. `change` stands in the first.
jit::Module module_with_turn(const std::string& change, int64_t turn) {
  jit::Module leaf("Leaf"), root("Root");
  leaf.define("def forward(self, x):\n    return torch.relu(x)\n");
  root.register_module("leaf", leaf);
  root.register_attribute("turn", c10::IntType::get(), turn);
  root.define(
      "def forward(self, x):\n    if self.turn == 1:\n        " + change +
      "\n        y = self.leaf.forward(x) * 2.0\n    else:\n        y = self.leaf.forward(x) - 1.0\n    return y\n");
  return root;
}

}  // namespace

TEST_CASE(
    "split graph: a number of the module decides which of two branches calls the layer, unless a run changes it") {
  const auto output_of = [](int64_t turn) {
    const auto split = SplitModel::build(module_with_turn("pass", turn), {{"leaf"}, false, {}});
    return split->run_tail(split->run_head({torch::tensor({-1.f, 3.f})}, nullptr), nullptr).output.toTensor();
  };
  EXPECT(at::equal(output_of(1), torch::tensor({0.f, 6.f})));
  EXPECT(at::equal(output_of(2), torch::tensor({-1.f, 2.f})));
  EXPECT_THROWS(CannotSplit, SplitModel::build(module_with_turn("self.turn = 2", 1), {{"leaf"}, false, {}}),
                "changes its own attributes");
}

TEST_CASE("split model: head and tail together compute what the module does") {
  const auto split = SplitModel::build(nested_module("return torch.relu(x)"), {{"inner.leaf"}, false, {}});
  const auto x = torch::tensor({-1.f, 3.f});
  const auto cut = split->run_head({x}, nullptr);
  EXPECT(at::equal(cut.values[0].toTensor(), torch::tensor({0.f, 6.f})));
  const auto result = split->run_tail(cut, nullptr);
  EXPECT(at::equal(result.output.toTensor(), torch::tensor({-2.f, 8.f})));  // relu(2 x) - 1 + x
  EXPECT(at::equal(result.activations[0], torch::tensor({0.f, 6.f})));
}

TEST_CASE("split model: the dump holds the text of head and tail") {
  const auto folder = std::filesystem::temp_directory_path() / ("gradcam-dump-" + std::to_string(std::rand()));
  const auto head = parse(kSkip);
  dump_split(folder.string(), {{"features.0", "head"}, false, at::kBFloat16}, head.get(), nullptr);
  const auto file = folder / "features.0+head-BFloat16-head.txt";
  std::stringstream text;
  text << std::ifstream(file).rdbuf();
  const auto files = std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator());
  std::filesystem::remove_all(folder);
  EXPECT(text.str().find("aten::clone[gradcam_layer=0]") != std::string::npos);
  EXPECT_EQUAL(files, 1);
  EXPECT_THROWS(std::exception, dump_split("/dev/null/nowhere", {{"a"}, false, {}}, head.get(), nullptr),
                "GRADCAM_DUMP_SPLIT");
}

}  // namespace gradcam::test
