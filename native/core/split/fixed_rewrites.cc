#include "fixed_rewrites.h"

#include <torch/script.h>

#include <algorithm>
#include <unordered_set>

#include "core/kernels/tiled_convolution.h"
#include "split_graph.h"
#include "split_ops.h"

namespace gradcam {

namespace jit = torch::jit;
using at::IValue;
using jit::Node;
using jit::Value;
using torch::Tensor;

namespace {

// Of a batch norm with constant statistics.
std::optional<ChannelAffine> constant_affine(const Node* batch_norm) {
  const auto training = jit::toIValue(batch_norm->input(5));
  const auto epsilon = jit::toIValue(batch_norm->input(7));
  const auto weight = float_constant(batch_norm->input(1)), bias = float_constant(batch_norm->input(2));
  const auto mean = float_constant(batch_norm->input(3)), variance = float_constant(batch_norm->input(4));
  if (!training || training->toBool() || !epsilon || !weight || !bias || !mean || !variance) return {};
  const auto scale = *weight / (*variance + epsilon->toDouble()).sqrt();
  return ChannelAffine{scale, *bias - *mean * scale, false};
}

void rewrite_batch_norm(jit::Graph& graph, Node* batch_norm) {
  const auto affine = constant_affine(batch_norm);
  if (!affine) return;
  auto *relu = relu_after(batch_norm), *cat = cat_before(batch_norm);
  // Inserted where the concatenation was: a list that it reads may grow before the ReLU.
  const jit::WithInsertPoint here(cat ? cat : batch_norm);
  auto* inputs = cat ? cat->input(0)
                     : graph.insertNode(graph.createList(c10::TensorType::get(), {batch_norm->input(0)}))->output();
  auto* fixed = graph.insertNode(graph.create(
      ops::fixed_batch_norm, {inputs, graph.insertConstant(affine->scale), graph.insertConstant(affine->shift),
                              graph.insertConstant(relu != nullptr)}));
  replace_by(fixed->output(), batch_norm, relu);
  if (!cat) return;
  cat->output()->replaceAllUsesWith(fixed->output());
  cat->destroy();
}

void rewrite_convolution(jit::Graph& graph, Node* convolution) {
  auto inputs = constant_convolution_inputs(convolution);
  if (!inputs) return;
  auto* relu = relu_after(convolution);
  const jit::WithInsertPoint here(convolution);
  inputs->insert(inputs->begin() + 2, graph.insertConstant(IValue()));  // no factors
  inputs->push_back(graph.insertConstant(relu != nullptr));
  replace_by(graph.insertNode(graph.create(ops::fixed_convolution, *inputs))->output(), convolution, relu);
}

// The only reader of what a convolution returned, where that is a batch norm.
Node* batch_norm_after(const Node* convolution) {
  auto* reader = only_reader(convolution->output());
  if (!reader || reader->kind() != c10::aten::batch_norm || reader->input(0) != convolution->output()) return nullptr;
  return reader->owningBlock() == convolution->owningBlock() ? reader : nullptr;
}

void fold_batch_norm(jit::Graph& graph, Node* convolution) {
  auto* batch_norm = batch_norm_after(convolution);
  const auto affine = batch_norm ? constant_affine(batch_norm) : std::nullopt;
  auto inputs = affine ? constant_convolution_inputs(convolution) : std::nullopt;
  if (!inputs) return;
  const auto bias = jit::toIValue(inputs->at(2))->toOptional<Tensor>();
  if (bias && bias->scalar_type() != at::kFloat) return;
  auto* relu = relu_after(batch_norm);
  const jit::WithInsertPoint here(convolution);
  inputs->at(2) = graph.insertConstant(bias ? *bias * affine->scale + affine->shift : affine->shift);
  inputs->insert(inputs->begin() + 2, graph.insertConstant(affine->scale));
  inputs->push_back(graph.insertConstant(relu != nullptr));
  auto* folded = graph.insertNode(graph.create(ops::fixed_convolution, *inputs));
  convolution->output()->replaceAllUsesWith(folded->output());
  replace_by(folded->output(), batch_norm, relu);
  convolution->destroy();
}

}  // namespace

std::optional<Tensor> float_constant(const Value* value) {
  const auto constant = jit::toIValue(value);
  if (!constant || !constant->isTensor() || constant->toTensor().scalar_type() != at::kFloat) return {};
  if (!constant->toTensor().device().is_cpu()) return {};
  return constant->toTensor();
}

Node* only_reader(const Value* value) {
  Node* reader = nullptr;
  for (const auto& use : value->uses()) {
    if (use.user->kind() == c10::aten::dim) continue;
    if (reader) return nullptr;
    reader = use.user;
  }
  return reader;
}

Node* cat_before(const Node* batch_norm) {
  auto* cat = batch_norm->input(0)->node();
  if (cat->kind() != c10::aten::cat || cat->owningBlock() != batch_norm->owningBlock()) return nullptr;
  if (only_reader(cat->output()) != batch_norm) return nullptr;
  return jit::toIValue(cat->input(1)) == IValue(1) ? cat : nullptr;
}

Node* relu_after(const Node* node) {
  if (node->output()->uses().size() != 1) return nullptr;
  auto* user = node->output()->uses()[0].user;
  return is_relu(user) && user->owningBlock() == node->owningBlock() ? user : nullptr;
}

bool is_relu(const Node* node) { return node->kind() == c10::aten::relu || node->kind() == c10::aten::relu_; }

bool is_convolution(const Node* node) {
  return node->kind() == c10::aten::conv2d || node->kind() == c10::aten::_convolution;
}

// conv2d(input, weight, bias, stride, padding, dilation, groups), or in traced files
// _convolution(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups, ...).
std::optional<std::vector<Value*>> constant_convolution_inputs(Node* convolution) {
  const bool traced = convolution->kind() == c10::aten::_convolution;
  if (traced && jit::toIValue(convolution->input(6)) != IValue(false)) return {};
  const auto weight = float_constant(convolution->input(1));
  const auto padding = jit::toIValue(convolution->input(4));
  if (!weight || weight->dim() != 4 || !padding || !padding->isIntList()) return {};
  std::vector<Value*> inputs(convolution->inputs().begin(), convolution->inputs().begin() + 6);
  inputs.push_back(convolution->input(traced ? 8 : 6));
  if (!std::all_of(inputs.begin() + 1, inputs.end(),
                   [](const Value* input) { return jit::toIValue(input).has_value(); }))
    return {};
  return inputs;
}

void replace_by(Value* fused, Node* node, Node* relu) {
  (relu ? relu : node)->output()->replaceAllUsesWith(fused);
  if (relu) relu->destroy();
  node->destroy();
}

void rewrite_fixed(jit::Graph& graph) {
  register_operators();
  std::vector<Node*> batch_norms, convolutions;
  for_each_node(graph.block(), [&](Node* node) {
    if (node->kind() == c10::aten::batch_norm) batch_norms.push_back(node);
    if (is_convolution(node)) convolutions.push_back(node);
  });
  for (auto* node : batch_norms) rewrite_batch_norm(graph, node);
  for (auto* node : convolutions) rewrite_convolution(graph, node);
}

void fold_batch_norms(jit::Graph& graph) {
  register_operators();
  std::vector<Node*> convolutions;
  for_each_node(graph.block(), [&](Node* node) {
    if (is_convolution(node)) convolutions.push_back(node);
  });
  for (auto* node : convolutions) fold_batch_norm(graph, node);
}

bool is_of_batch_norm(const jit::Use& use) {
  const auto kind = use.user->kind();
  return kind == c10::aten::batch_norm || kind == ops::fixed_batch_norm ||
         (kind == ops::fused_convolution && (use.offset == 2 || use.offset == 3));
}

void insert_cancel_checks(jit::Graph& graph) {
  register_operators();
  static const std::unordered_set<c10::Symbol> kHeavy{
      c10::aten::conv1d,       c10::aten::conv2d,      c10::aten::conv3d,      c10::aten::linear,     c10::aten::matmul,
      c10::aten::_convolution, ops::fixed_convolution, ops::fused_convolution, ops::equal_convolution};
  std::vector<Node*> heavy;
  for_each_node(graph.block(), [&](Node* node) {
    if (kHeavy.count(node->kind())) heavy.push_back(node);
  });
  for (auto* node : heavy) graph.create(ops::check_cancelled, 0)->insertBefore(node);
  check_loops(graph);
}

}  // namespace gradcam
