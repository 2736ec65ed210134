// Which graphs compute each image of a batch alone.
#include "core/split/image_flow.h"

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
    {"viewed as rows, with the number of images", true, R"IR(
  %n : int = aten::size(%x, %zero)
  %s : int[] = prim::ListConstruct(%n, %minus)
  %y : Tensor = aten::view(%x, %s))IR"},
    {"the same in a trace", true, R"IR(
  %n : int = aten::size(%x, %zero)
  %t : Tensor = prim::NumToTensor(%n)
  %i : int = aten::Int(%t)
  %s : int[] = prim::ListConstruct(%i, %minus)
  %y : Tensor = aten::reshape(%x, %s))IR"},
    {"positions in a row, by sizes", true, R"IR(
  %n : int = aten::size(%x, %zero)
  %c : int = aten::size(%x, %one)
  %s : int[] = prim::ListConstruct(%n, %c, %one, %minus)
  %y : Tensor = aten::reshape(%x, %s))IR"},
    {"enlarged to twice its size", true, R"IR(
  %h : int = aten::size(%x, %third)
  %t : int = aten::mul(%h, %third)
  %s : int[] = prim::ListConstruct(%t, %t)
  %y : Tensor = aten::upsample_nearest2d(%x, %s, %none, %none))IR"},
    {"probabilities", true, "\n  %y : Tensor = aten::softmax(%x, %one, %none)"},
    {"layer norm over channels", true, R"IR(
  %p : Tensor = aten::permute(%x, %channels_last)
  %l : Tensor = aten::layer_norm(%p, %four, %none, %none, %half, %no)
  %q : Tensor = aten::permute(%l, %channels_first)
  %y : Tensor = aten::mul(%offset, %q))IR"},
    {"layer norm over the batch", false, "\n  %y : Tensor = aten::layer_norm(%x, %batch, %none, %none, %half, %no)"},
    {"images that changed places with channels", false, "\n  %y : Tensor = aten::permute(%x, %turned)"},
    {"viewed as rows of a number", false, R"IR(
  %s : int[] = prim::ListConstruct(%minus, %third)
  %y : Tensor = aten::reshape(%x, %s))IR"},
    {"viewed by the number of images, but not first", false, R"IR(
  %n : int = aten::size(%x, %zero)
  %s : int[] = prim::ListConstruct(%minus, %n)
  %y : Tensor = aten::reshape(%x, %s))IR"},
    {"a constant that is changed by the images", false, R"IR(
  %y : Tensor = aten::add_(%offset, %x, %one))IR"},
    {"the mean of each channel as a row", true, R"IR(
  %m : Tensor = aten::mean(%x, %positions, %no, %none)
  %y : Tensor = aten::linear(%m, %matrix, %none))IR"},
    {"the mean of each line", false, R"IR(
  %m : Tensor = aten::mean(%x, %columns, %no, %none)
  %f : Tensor = aten::flatten(%x, %one, %minus)
  %y : Tensor = aten::mul(%f, %m))IR"},
    {"the mean of everything", false, "\n  %y : Tensor = aten::mean(%x, %none, %yes, %none)"},
    {"flattened in part", false, R"IR(
  %f : Tensor = aten::flatten(%x, %one, %third)
  %y : Tensor = aten::relu(%f))IR"},
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

// What follows a head, from %a and %b, which it returned, to %y.
struct TailCase {
  const char* name;
  bool apart;
  const char* head;
  const char* tail;
};

// Images as %a, and as %b a row of each.
constexpr const char* kImagesAndRows = R"IR(
  %a : Tensor = aten::relu(%x)
  %p : Tensor = aten::adaptive_avg_pool2d(%x, %ones)
  %b : Tensor = aten::flatten(%p, %one, %minus))IR";

const TailCase kTails[] = {
    {"a convolution, pooled to rows, plus those of the head", true, kImagesAndRows, R"IR(
  %c : Tensor = aten::conv2d(%a, %weight, %none, %ones, %ones, %ones, %one)
  %p : Tensor = aten::adaptive_avg_pool2d(%c, %ones)
  %f : Tensor = aten::flatten(%p, %one, %minus)
  %y : Tensor = aten::add(%f, %b, %one))IR"},
    {"a tuple, with None for what there is in training", true, kImagesAndRows, R"IR(
  %y : (Tensor, Tensor, NoneType) = prim::TupleConstruct(%a, %b, %none))IR"},
    {"a tuple with a constant in it", false, kImagesAndRows, R"IR(
  %y : (Tensor, Tensor) = prim::TupleConstruct(%a, %weight))IR"},
    {"rows beside images", false, kImagesAndRows, "\n  %y : Tensor = aten::mul(%a, %b)"},
    {"what the head returned for the whole batch", false, R"IR(
  %a : Tensor = aten::relu(%x)
  %b : Tensor = aten::mean(%x, %zeros, %yes, %none))IR",
     "\n  %y : Tensor = aten::sub(%a, %b, %one)"},
    {"the mean over the batch", false, kImagesAndRows, R"IR(
  %m : Tensor = aten::mean(%a, %zeros, %yes, %none)
  %y : Tensor = aten::sub(%a, %m, %one))IR"},
    {"the number of images", false, kImagesAndRows, "\n  %y : int = aten::size(%a, %zero)"},
};

// A graph from the arguments `%from` to the tuple `returned`.
std::shared_ptr<jit::Graph> graph_of(const std::string& from, const std::string& body, const std::string& returned) {
  const std::string ir = "\ngraph(" + from + std::string(R"IR(, %weight : Tensor, %matrix : Tensor, %offset : Tensor):
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
  %third : int = prim::Constant[value=2]()
  %columns : int[] = prim::Constant[value=[3]]()
  %four : int[] = prim::Constant[value=[4]]()
  %batch : int[] = prim::Constant[value=[5, 4, 6, 8]]()
  %channels_last : int[] = prim::Constant[value=[0, 2, 3, 1]]()
  %channels_first : int[] = prim::Constant[value=[0, 3, 1, 2]]()
  %turned : int[] = prim::Constant[value=[1, 0, 2, 3]]()
  %positions : int[] = prim::Constant[value=[2, 3]]())IR") +
                         body + "\n  %tuple : " + returned + "\n  return (%tuple)\n";
  auto graph = std::make_shared<jit::Graph>();
  jit::parseIR(ir, graph.get());
  // Freezing leaves weights as constants.
  const jit::WithInsertPoint first(*graph->nodes().begin());
  torch::manual_seed(3);
  const auto first_constant = graph->inputs().size() - 3;
  for (const auto& weight : {torch::randn({4, 4, 3, 3}), torch::randn({5, 4}), torch::randn({4, 1, 1})}) {
    graph->inputs()[first_constant]->replaceAllUsesWith(graph->insertConstant(weight));
    graph->eraseInput(first_constant);
  }
  return graph;
}

// A tuple of %y, of the type that the body says.
std::string tuple_of_y(const std::string& body) {
  const auto from = body.find("%y : ") + 5;
  return "(" + body.substr(from, body.find(" = ", from) - from) + ") = prim::TupleConstruct(%y)";
}

std::shared_ptr<jit::Graph> head_of(const HeadCase& c) { return graph_of("%x : Tensor", c.body, tuple_of_y(c.body)); }

// What a graph returns for a batch, or the first element of that where it is a tuple.
Tensor first_of(const IValue& value) {
  return value.isTuple() ? value.toTupleRef().elements().at(0).toTensor() : value.toTensor();
}

std::vector<IValue> run_graph(jit::Function& function, std::vector<IValue> inputs) {
  const jit::GraphOptimizerEnabledGuard unoptimized(false);
  function.run(inputs);
  return inputs.back().toTupleRef().elements().vec();
}

}  // namespace

TEST_CASE("image flow: graphs that compute each image alone are told from those that do not") {
  for (const auto& c : kHeads) {
    const auto found = image_input(*head_of(c));
    if (found.has_value() != c.apart) fail(__LINE__, std::string(c.name) + (c.apart ? ": refused" : ": taken"));
  }
}

TEST_CASE("image flow: the two graphs of a split are followed from one to the other") {
  for (const auto& c : kTails) {
    const auto head = graph_of("%x : Tensor", c.head, "(Tensor, Tensor) = prim::TupleConstruct(%a, %b)");
    const auto tail = graph_of("%a : Tensor, %b : Tensor", c.tail, tuple_of_y(c.tail));
    const auto found = image_input(head.get(), *tail);
    if (found.has_value() != c.apart) fail(__LINE__, std::string(c.name) + (c.apart ? ": refused" : ": taken"));
    if (!c.apart) continue;
    EXPECT_EQUAL(*found, 0u);
    jit::GraphFunction before("head", head, nullptr), after("tail", tail, nullptr);
    const auto batch = torch::randn({5, 4, 6, 8});
    std::vector<Tensor> alone;
    for (const auto& image : batch.split(1))
      alone.push_back(first_of(run_graph(after, run_graph(before, {image})).at(0)));
    const auto whole = first_of(run_graph(after, run_graph(before, {batch})).at(0));
    if (!at::allclose(whole, at::cat(alone), 1e-5, 1e-5)) fail(__LINE__, c.name);
  }
  for (const auto& c : kHeads)
    if (image_input(nullptr, *head_of(c)).has_value() != c.apart) fail(__LINE__, c.name);
}

TEST_CASE("image flow: what they compute for a batch is what they compute for its images") {
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

}  // namespace gradcam::test
