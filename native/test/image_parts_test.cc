// Running a head on parts of a batch: which graphs compute each image alone, and that the parts make up the whole.
#include "core/split/image_parts.h"

#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/irparser.h>
#include <torch/script.h>

#include "check.h"
#include "core/split/split_ops.h"

namespace gradcam::test {

namespace {

namespace jit = torch::jit;

struct HeadCase {
  const char* name;
  bool apart;
  const char* body;  // from %x to %y; the constants are those below
};

const HeadCase kHeads[] = {
    {"functions of one value", true, R"IR(
  %a : Tensor = aten::relu(%x)
  %b : Tensor = aten::hardtanh(%a, %half, %two)
  %y : Tensor = aten::sigmoid(%b))IR"},
    {"a convolution, pooled", true, R"IR(
  %a : Tensor = aten::conv2d(%x, %weight, %none, %ones, %ones, %ones, %one)
  %y : Tensor = aten::avg_pool2d(%a, %pair, %pair, %zeros, %no, %yes, %none))IR"},
    {"a skip connection, scaled", true, R"IR(
  %a : Tensor = aten::conv2d(%x, %weight, %none, %ones, %ones, %ones, %one)
  %b : Tensor = aten::add(%a, %x, %one)
  %y : Tensor = aten::mul(%b, %two))IR"},
    {"a concatenation over channels that grows", true, R"IR(
  %l : Tensor[] = prim::ListConstruct(%x)
  %a : Tensor = aten::cat(%l, %one)
  %b : Tensor = aten::relu(%a)
  %m : Tensor[] = aten::append(%l, %b)
  %y : Tensor = aten::cat(%l, %one))IR"},
    {"a list that is empty at first", true, R"IR(
  %l : Tensor[] = prim::ListConstruct()
  %m : Tensor[] = aten::append(%l, %x)
  %y : Tensor = aten::cat(%l, %one))IR"},
    {"attention over channels", true, R"IR(
  %m : Tensor = aten::mean(%x, %positions, %yes, %none)
  %s : Tensor = aten::sigmoid(%m)
  %y : Tensor = aten::mul(%x, %s))IR"},
    {"a check of the dimensions", true, R"IR(
  %d : int = aten::dim(%x)
  %c : bool = aten::eq(%d, %one)
  %y : Tensor = prim::If(%c)
    block0():
      -> (%x)
    block1():
      %r : Tensor = aten::relu(%x)
      -> (%r))IR"},
    {"a classifier", true, R"IR(
  %a : Tensor = aten::adaptive_avg_pool2d(%x, %ones)
  %f : Tensor = aten::flatten(%a, %one, %minus)
  %y : Tensor = aten::linear(%f, %matrix, %none))IR"},
    {"sums of rows", true, R"IR(
  %f : Tensor = aten::flatten(%x, %one, %minus)
  %g : Tensor = aten::relu(%f)
  %y : Tensor = aten::add(%f, %g, %one))IR"},
    {"the mean over the batch", false, R"IR(
  %m : Tensor = aten::mean(%x, %zeros, %yes, %none)
  %y : Tensor = aten::sub(%x, %m, %one))IR"},
    {"statistics of the batch", false, R"IR(
  %y : Tensor = aten::batch_norm(%x, %none, %none, %none, %none, %yes, %half, %half, %no))IR"},
    {"a concatenation over the batch", false, R"IR(
  %l : Tensor[] = prim::ListConstruct(%x, %x)
  %y : Tensor = aten::cat(%l, %zero))IR"},
    {"the number of images", false, R"IR(
  %n : int = aten::size(%x, %zero)
  %y : Tensor = aten::mul(%x, %n))IR"},
    {"the sizes, read as a list", false, R"IR(
  %s : int[] = aten::size(%x)
  %n : int = aten::__getitem__(%s, %zero)
  %y : Tensor = aten::mul(%x, %n))IR"},
    {"softmax over the batch", false, "\n  %y : Tensor = aten::softmax(%x, %zero, %none)"},
    {"images in reverse", false, "\n  %y : Tensor = aten::flip(%x, %zeros)"},
    {"a row for each image beside the images", false, R"IR(
  %a : Tensor = aten::adaptive_avg_pool2d(%x, %ones)
  %f : Tensor = aten::flatten(%a, %one, %minus)
  %y : Tensor = aten::mul(%x, %f))IR"},
    {"flattened with the batch", false, "\n  %y : Tensor = aten::flatten(%x, %zero, %minus)"},
    {"noise", false, R"IR(
  %r : Tensor = aten::rand_like(%x, %none, %none, %none, %none, %none)
  %y : Tensor = aten::add(%x, %r, %one))IR"},
    {"active dropout", false, "\n  %y : Tensor = aten::dropout(%x, %half, %yes)"},
    {"a tensor that is not of the images", false, "\n  %y : Tensor = aten::add(%x, %weight, %one)"},
    {"a branch that depends on the images", false, R"IR(
  %t : Tensor = aten::sum(%x, %none)
  %c : bool = aten::Bool(%t)
  %y : Tensor = prim::If(%c)
    block0():
      -> (%x)
    block1():
      -> (%x))IR"},
    {"a branch without images", false, R"IR(
  %y : Tensor = prim::If(%no)
    block0():
      -> (%x)
    block1():
      -> (%weight))IR"},
    {"a number", false, "\n  %y : int = aten::dim(%x)"},
};

std::shared_ptr<jit::Graph> head_of(const HeadCase& c) {
  const std::string ir = std::string(R"IR(
graph(%x : Tensor, %weight : Tensor, %matrix : Tensor):
  %none : NoneType = prim::Constant()
  %zero : int = prim::Constant[value=0]()
  %one : int = prim::Constant[value=1]()
  %minus : int = prim::Constant[value=-1]()
  %half : float = prim::Constant[value=0.5]()
  %two : float = prim::Constant[value=2.]()
  %yes : bool = prim::Constant[value=1]()
  %no : bool = prim::Constant[value=0]()
  %ones : int[] = prim::Constant[value=[1, 1]]()
  %pair : int[] = prim::Constant[value=[2, 2]]()
  %zeros : int[] = prim::Constant[value=[0]]()
  %positions : int[] = prim::Constant[value=[2, 3]]())IR") +
                         c.body + "\n  return (%y)\n";
  auto graph = std::make_shared<jit::Graph>();
  jit::parseIR(ir, graph.get());
  // Freezing leaves weights as constants.
  const jit::WithInsertPoint first(*graph->nodes().begin());
  torch::manual_seed(3);
  for (const auto& weight : {torch::randn({4, 4, 3, 3}), torch::randn({5, 4})}) {
    graph->inputs()[1]->replaceAllUsesWith(graph->insertConstant(weight));
    graph->eraseInput(1);
  }
  auto* tuple = graph->createTuple({graph->outputs()[0]});
  tuple->insertBefore(graph->return_node());
  graph->return_node()->replaceInput(0, tuple->output());
  return graph;
}

std::vector<IValue> run_graph(jit::Function& function, std::vector<IValue> inputs) {
  const jit::GraphOptimizerEnabledGuard unoptimized(false);
  function.run(inputs);
  return inputs.back().toTupleRef().elements().vec();
}

}  // namespace

TEST_CASE("image parts: graphs that compute each image alone are told from those that do not") {
  for (const auto& c : kHeads) {
    const auto found = image_input(*head_of(c));
    if (found.has_value() != c.apart) fail(__LINE__, std::string(c.name) + (c.apart ? ": refused" : ": taken"));
  }
}

TEST_CASE("image parts: what they compute for a batch is what they compute for its images") {
  torch::manual_seed(4);
  for (const auto& c : kHeads) {
    if (!c.apart) continue;
    jit::GraphFunction function("head", head_of(c), nullptr);
    const auto batch = torch::randn({5, 4, 6, 8});
    std::vector<Tensor> alone;
    for (const auto& image : batch.split(1)) alone.push_back(run_graph(function, {image}).at(0).toTensor());
    const auto whole = run_graph(function, {batch}).at(0).toTensor();
    if (!at::allclose(whole, at::cat(alone), 1e-5, 1e-5)) fail(__LINE__, c.name);
  }
}

TEST_CASE("image parts: a large batch runs in parts of equal size, whose values are put together in their layout") {
  torch::manual_seed(5);
  const auto run = [](const Tensor& batch, std::vector<int64_t>& counts) {
    return run_in_parts({IValue(7), IValue(batch)}, 1, [&](std::vector<IValue> inputs) {
      EXPECT_EQUAL(inputs.at(0).toInt(), 7);
      const auto part = inputs.at(1).toTensor();
      counts.push_back(part.size(0));
      return std::vector<IValue>{part * 2, part.mean(at::IntArrayRef{-1, -2})};
    });
  };
  // 16 images of 224x224 are a part; so are 4 of twice the size.
  const std::vector<std::pair<int64_t, std::vector<int64_t>>> expected{{4, {4}}, {5, {3, 2}}, {9, {3, 3, 3}}};
  for (const auto& [images, parts] : expected)
    for (const auto layout : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
      const auto batch = torch::randn({images, 2, 448, 448}).contiguous(layout);
      std::vector<int64_t> counts;
      const auto found = run(batch, counts);
      EXPECT(counts == parts);
      EXPECT_EQUAL(found.size(), 2u);
      EXPECT(at::equal(found[0].toTensor(), batch * 2));
      EXPECT(found[0].toTensor().is_contiguous(layout));
      EXPECT(at::allclose(found[1].toTensor(), batch.mean(at::IntArrayRef{2, 3}), 1e-5, 1e-6));
    }
  std::vector<int64_t> counts;
  (void)run(torch::randn({40, 448, 448}), counts);  // one image, of 40 channels
  EXPECT(counts == std::vector<int64_t>{40});
}

}  // namespace gradcam::test
