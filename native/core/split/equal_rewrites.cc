#include "equal_rewrites.h"

#include <torch/script.h>

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "core/kernels/tiled_convolution.h"
#include "fixed_rewrites.h"
#include "split_graph.h"
#include "split_ops.h"

namespace gradcam {

namespace jit = torch::jit;
using at::IValue;
using jit::Node;
using jit::Value;

namespace {

using Kinds = std::unordered_set<std::string>;

// Each element of their results is computed in the same way in both layouts.
const Kinds& equal_in_both() {
  static const Kinds kinds{
      "aten::add",        "aten::add_",        "aten::avg_pool2d",
      "aten::batch_norm", "aten::cat",         "aten::clamp",
      "aten::clamp_",     "aten::clamp_min",   "aten::constant_pad_nd",
      "aten::detach",     "aten::dropout",     "aten::dropout_",
      "aten::hardtanh",   "aten::hardtanh_",   "aten::leaky_relu",
      "aten::max_pool2d", "aten::leaky_relu_", "aten::mul",
      "aten::mul_",       "aten::relu",        "aten::relu6",
      "aten::relu6_",     "aten::relu_",       "aten::sub",
      "aten::div",        "aten::pad",
  };
  return kinds;
}

// They sum up in an order that depends on the layout, or take other code for it.
const Kinds& equal_when_contiguous() {
  static const Kinds kinds{
      "aten::adaptive_avg_pool1d",
      "aten::adaptive_avg_pool2d",
      "aten::adaptive_avg_pool3d",
      "aten::adaptive_max_pool2d",
      "aten::addmm",
      "aten::elu",
      "aten::flatten",
      "aten::gelu",
      "aten::hardsigmoid",
      "aten::hardswish",
      "aten::linear",
      "aten::log_softmax",
      "aten::matmul",
      "aten::mean",
      "aten::sigmoid",
      "aten::silu",
      "aten::softmax",
      "aten::softplus",
      "aten::squeeze",
      "aten::t",
      "aten::tanh",
      "aten::upsample_bicubic2d",
      "aten::upsample_bilinear2d",
      "aten::upsample_linear1d",
      "aten::upsample_nearest1d",
      "aten::upsample_nearest2d",
      "aten::upsample_nearest3d",
      "aten::upsample_trilinear3d",
      "aten::_upsample_bicubic2d_aa",
      "aten::_upsample_bilinear2d_aa",
  };
  return kinds;
}

bool holds_tensor(const c10::TypePtr& type) {
  if (type->isSubtypeOf(*c10::TensorType::get())) return true;
  const auto parts = type->containedTypes();
  return std::any_of(parts.begin(), parts.end(), [](const auto& part) { return holds_tensor(part); });
}

bool has_tensor_output(const Node* node) {
  const auto outputs = node->outputs();
  return std::any_of(outputs.begin(), outputs.end(), [](const Value* value) { return holds_tensor(value->type()); });
}

// Hands on tensors as they are.
bool hands_on(const Node* node) {
  static const Kinds kinds{"prim::Constant",       "prim::GetAttr",       "prim::If",          "prim::ListConstruct",
                           "prim::ListUnpack",     "prim::Loop",          "prim::Return",      "prim::TupleConstruct",
                           "prim::TupleIndex",     "prim::Uninitialized", "prim::TupleUnpack", "prim::DictConstruct",
                           "prim::unchecked_cast", "aten::append",        "aten::__getitem__", "gradcam::max_pool2d"};
  const std::string kind = node->kind().toQualString();
  const bool of_tensor = !node->inputs().empty() && node->input(0)->type()->isSubtypeOf(*c10::TensorType::get());
  return kinds.count(kind) && !(kind == "aten::__getitem__" && of_tensor);
}

bool uses_batch_statistics(const Node* node) {
  return node->kind() == c10::aten::batch_norm && jit::toIValue(node->input(5)) != IValue(false);
}

// Of a view that is a copy in the other layout, it would change the copy alone.
bool changes_a_view(const Node* node) {
  static const Kinds views{"aten::flatten", "aten::squeeze", "aten::t"};
  const std::string kind = node->kind().toQualString();
  return node->kind().is_aten() && kind.back() == '_' && !node->inputs().empty() &&
         views.count(node->input(0)->node()->kind().toQualString());
}

// Puts a conversion of the value's layout before `node`, and has the node read that.
void convert_input(jit::Graph& graph, Node* node, size_t input, bool channels_last) {
  const jit::WithInsertPoint here(node);
  auto* converted =
      graph.insertNode(graph.create(ops::to_layout, {node->input(input), graph.insertConstant(channels_last)}));
  node->replaceInput(input, converted->output());
}

void take_contiguous(jit::Graph& graph, Node* node) {
  for (size_t i = 0; i < node->inputs().size(); ++i)
    if (node->input(i)->type()->isSubtypeOf(*c10::TensorType::get()) && !jit::toIValue(node->input(i)))
      convert_input(graph, node, i, /*channels_last=*/false);
}

// Converts what LibTorch's convolution returned, but only after the operators that make it smaller.
void return_channels_last(jit::Graph& graph, Node* convolution) {
  static const Kinds passing{"aten::batch_norm", "aten::relu",          "aten::relu_",
                             "aten::max_pool2d", "gradcam::max_pool2d", "aten::avg_pool2d"};
  auto* value = convolution->output();
  for (auto* next = only_reader(value); next && passing.count(next->kind().toQualString()); next = only_reader(value)) {
    if (next->owningBlock() != convolution->owningBlock()) break;
    value = next->output();
  }
  auto* converted = graph.create(ops::to_layout, 1);
  const jit::WithInsertPoint here(value->node()->next());
  auto* yes = graph.insertConstant(true);
  graph.insertNode(converted);
  value->replaceAllUsesAfterNodeWith(value->node(), converted->output());
  converted->addInput(value);
  converted->addInput(yes);
}

// Whether a convolution of the graph has kernels of our own; then it is replaced.
bool replace_convolution(jit::Graph& graph, Node* node) {
  const auto inputs = constant_convolution_inputs(node);
  if (!inputs) return false;
  const auto constant = [&](size_t i) { return jit::toIValue((*inputs)[i]).value(); };
  const auto bias = constant(2).toOptional<at::Tensor>();
  const ConvolutionShape shape{constant(3).toIntVector(), constant(4).toIntVector(), constant(5).toIntVector(),
                               constant(6).toInt()};
  if (!TiledConvolution::fits(constant(1).toTensor(), bias, shape)) return false;
  const jit::WithInsertPoint here(node);
  auto* equal = graph.insertNode(graph.create(ops::equal_convolution, *inputs));
  replace_by(equal->output(), node, nullptr);
  return true;
}

// Whether it was inlined from a module of class ReLU, and not from a function that its caller called.
bool is_of_relu_module(const Node* node) {
  const auto callstack = node->callstack();
  if (!callstack) return false;
  const auto frames = (*callstack)->vec();
  for (auto frame = frames.rbegin(); frame != frames.rend(); ++frame) {
    const auto& module = std::get<2>(*frame);
    if (!module || !module->class_type()) continue;
    const auto name = module->class_type()->name();
    return name && name->name() == "ReLU";
  }
  return false;
}

// Has what is left of ReLUs and batch norms keep less for the gradient.
void keep_less(jit::Graph& graph, Node* node) {
  const auto kind = node->kind();
  const jit::WithInsertPoint here(node);
  Node* instead = nullptr;
  if (is_relu(node)) {
    const auto same = kind == c10::aten::relu ? ops::masked_relu : ops::masked_relu_;
    instead = graph.create(same, {node->input(0), graph.insertConstant(is_of_relu_module(node))});
  } else if (kind == c10::aten::batch_norm) {
    const auto inputs = node->inputs();
    if (!float_constant(inputs[3]) || !float_constant(inputs[4]) || !jit::toIValue(inputs[7])) return;
    instead =
        graph.create(ops::constant_batch_norm, {inputs[0], inputs[1], inputs[2], inputs[3], inputs[4], inputs[7]});
  } else {
    return;
  }
  replace_by(graph.insertNode(instead)->output(), node, nullptr);
}

// What a fused convolution takes its input from; null where there is none.
struct Chain {
  Node *relu, *batch_norm, *cat;
};

// A ReLU whose output only the convolution reads, and what comes before it likewise.
std::optional<Chain> chain_before(const Node* convolution) {
  auto* relu = convolution->input(0)->node();
  if (!is_relu(relu)) return {};
  if (relu->owningBlock() != convolution->owningBlock() || only_reader(relu->output()) != convolution) return {};
  auto* batch_norm = relu->input(0)->node();
  const bool normalised =
      batch_norm->kind() == c10::aten::batch_norm && batch_norm->owningBlock() == relu->owningBlock() &&
      only_reader(batch_norm->output()) == relu && jit::toIValue(batch_norm->input(5)) == IValue(false);
  if (normalised) {
    for (size_t i = 1; i < 5; ++i)
      if (!float_constant(batch_norm->input(i))) return Chain{relu, nullptr, nullptr};
    return Chain{relu, batch_norm, cat_before(batch_norm)};
  }
  return Chain{relu, nullptr, nullptr};
}

// Returns memory of its own.
bool returns_new(const Node* node) {
  static const Kinds kinds{"aten::add",
                           "aten::avg_pool2d",
                           "aten::batch_norm",
                           "aten::cat",
                           "aten::conv2d",
                           "aten::_convolution",
                           "aten::mul",
                           "gradcam::equal_convolution",
                           "gradcam::gated_convolution",
                           "aten::max_pool2d",
                           "gradcam::max_pool2d"};
  return kinds.count(node->kind().toQualString()) > 0;
}

// For a ReLU that does not follow a batch norm: whether nothing else reads or changes its input, which a ReLU in place
// would change for all.
bool has_own_input(const Node* relu) {
  return only_reader(relu->input(0)) == relu && returns_new(relu->input(0)->node());
}

void fuse_gate(jit::Graph& graph, Node* convolution) {
  const auto chain = chain_before(convolution);
  if (!chain || (!chain->batch_norm && !has_own_input(chain->relu))) return;
  auto *batch_norm = chain->batch_norm, *cat = chain->cat;
  // Inserted where the concatenation was: a list that it reads may grow before the convolution.
  auto* first = cat ? cat : batch_norm ? batch_norm : chain->relu;
  for (auto* input : convolution->inputs().slice(1))
    if (input->node()->isAfter(first)) input->node()->moveBefore(first);
  const jit::WithInsertPoint here(first);
  std::vector<Value*> inputs{
      cat ? cat->input(0) : graph.insertNode(graph.createList(c10::TensorType::get(), {first->input(0)}))->output()};
  Value* none = batch_norm ? nullptr : graph.insertConstant(IValue());
  for (size_t i = 1; i < 5; ++i) inputs.push_back(batch_norm ? batch_norm->input(i) : none);
  inputs.push_back(graph.insertConstant(batch_norm ? jit::toIValue(batch_norm->input(7)).value() : IValue(0.0)));
  inputs.push_back(graph.insertConstant(is_of_relu_module(chain->relu)));
  inputs.insert(inputs.end(), convolution->inputs().begin() + 1, convolution->inputs().end());
  auto* gated = graph.insertNode(graph.create(ops::gated_convolution, inputs));
  if (!gated_convolution_of(gated)) {
    gated->destroy();
    return;
  }
  convolution->output()->replaceAllUsesWith(gated->output());
  convolution->destroy();
  for (auto* node : {chain->relu, batch_norm, cat}) {
    if (!node) continue;
    node->output()->replaceAllUsesWith(gated->output());  // by those who read the number of dimensions
    node->destroy();
  }
}

}  // namespace

void refuse_unequal(const jit::Node* node) {
  const std::string kind = node->kind().toQualString();
  const bool known = equal_in_both().count(kind) || equal_when_contiguous().count(kind) || is_convolution(node) ||
                     hands_on(node) || !has_tensor_output(node);
  if (!known) throw CannotSplit("what " + kind + " returns may be rounded otherwise in another memory layout");
}

void rewrite_equally(jit::Graph& graph) {
  register_operators();
  std::vector<Node*> nodes;
  for_each_node(graph.block(), [&](Node* node) { nodes.push_back(node); });
  size_t own = 0, libtorch = 0;
  for (auto* node : nodes) {
    refuse_unequal(node);
    if (uses_batch_statistics(node))
      throw CannotSplit("statistics of the batch are rounded otherwise in another memory layout");
    if (changes_a_view(node)) throw CannotSplit("an operator changes a view in place");
    if (is_convolution(node)) {
      if (replace_convolution(graph, node)) {
        ++own;
        continue;
      }
      ++libtorch;
      take_contiguous(graph, node);
      return_channels_last(graph, node);
    } else if (equal_when_contiguous().count(node->kind().toQualString())) {
      take_contiguous(graph, node);
    }
  }
  // LibTorch's convolutions would copy what they read and write into the other layout.
  if (own <= libtorch)
    throw CannotSplit(std::string(own ? "most convolutions do not have" : "no convolution has") +
                      " a kernel here that rounds as LibTorch's does");
  std::vector<Node*> convolutions, others;
  for_each_node(graph.block(), [&](Node* node) {
    if (node->kind() == ops::equal_convolution) convolutions.push_back(node);
  });
  for (auto* node : convolutions) fuse_gate(graph, node);
  for_each_node(graph.block(), [&](Node* node) { others.push_back(node); });
  for (auto* node : others) keep_less(graph, node);
}

}  // namespace gradcam
