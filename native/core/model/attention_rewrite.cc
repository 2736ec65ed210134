#include "attention_rewrite.h"

#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/constant_propagation.h>
#include <torch/csrc/jit/runtime/custom_operator.h>

#include <array>
#include <string>
#include <tuple>
#include <vector>

#include "core/autograd/attention.h"
#include "core/split/split_graph.h"

namespace gradcam {

namespace jit = torch::jit;

namespace {

// The arguments of an operator, taken from the stack in their order.
class Arguments {
 public:
  Arguments(jit::Stack& stack, size_t count) : values_(jit::pop(stack, count)) {}

  at::IValue next() { return values_[taken_++]; }
  Tensor tensor() { return next().toTensor(); }
  std::optional<Tensor> optional_tensor() { return next().toOptional<Tensor>(); }
  // A parameter that a module was made without is None.
  Tensor parameter() { return optional_tensor().value_or(Tensor()); }

 private:
  std::vector<at::IValue> values_;
  size_t taken_ = 0;
};

void run_attention(jit::Stack& stack) {
  Arguments given(stack, 8);
  const auto query = given.tensor(), key = given.tensor(), value = given.tensor();
  const auto mask = given.optional_tensor();
  const auto dropout = given.next().toDouble();
  const bool is_causal = given.next().toBool();
  const auto scale = given.next().toOptional<double>();
  jit::push(stack, attention(query, key, value, mask, dropout, is_causal, scale, given.next().toBool()));
}

// The kernel that torch.export decomposes attention into. The second result is for its own backward.
void run_flash_attention(jit::Stack& stack) {
  Arguments given(stack, 7);
  const auto query = given.tensor(), key = given.tensor(), value = given.tensor();
  const auto dropout = given.next().toDouble();
  const bool is_causal = given.next().toBool();
  const auto mask = given.optional_tensor();
  const auto scale = given.next().toOptional<double>();
  if (attends_by_formula()) {
    jit::push(stack, attention(query, key, value, mask, dropout, is_causal, scale, /*grouped=*/false), Tensor());
    return;
  }
  auto [output, sums] =
      at::_scaled_dot_product_flash_attention_for_cpu(query, key, value, dropout, is_causal, mask, scale);
  jit::push(stack, std::move(output), std::move(sums));
}

void run_multi_head_attention(jit::Stack& stack) {
  Arguments given(stack, 13);
  const auto query = given.tensor(), key = given.tensor(), value = given.tensor();
  MultiHeadAttention layer;
  layer.width = given.next().toInt();
  layer.heads = given.next().toInt();
  for (auto* tensor : {&layer.in_weight, &layer.in_bias, &layer.out_weight, &layer.out_bias})
    *tensor = given.parameter();
  layer.mask = given.optional_tensor();
  layer.needs_weights = given.next().toBool();
  layer.average_weights = given.next().toBool();
  layer.mask_type = given.next().toOptional<int64_t>();
  auto [output, weights] = multi_head_attention(query, key, value, layer);
  jit::push(stack, std::move(output), std::move(weights));
}

void run_encoder_layer(jit::Stack& stack) {
  Arguments given(stack, 20);
  const auto source = given.tensor();
  EncoderLayer layer;
  layer.attention.needs_weights = false;
  layer.attention.width = given.next().toInt();
  layer.attention.heads = given.next().toInt();
  for (auto* tensor :
       {&layer.attention.in_weight, &layer.attention.in_bias, &layer.attention.out_weight, &layer.attention.out_bias})
    *tensor = given.parameter();
  layer.gelu = given.next().toBool();
  layer.norm_first = given.next().toBool();
  layer.epsilon = given.next().toDouble();
  for (size_t i : {0, 1}) {
    layer.norm_weight[i] = given.parameter();
    layer.norm_bias[i] = given.parameter();
  }
  for (size_t i : {0, 1}) {
    layer.linear_weight[i] = given.parameter();
    layer.linear_bias[i] = given.parameter();
  }
  layer.attention.mask = given.optional_tensor();
  layer.attention.mask_type = given.next().toOptional<int64_t>();
  jit::push(stack, encoder_layer(source, layer));
}

// An operator that is replaced in all code. The schemas are LibTorch's own, under names of ours: the operators are
// added to LibTorch's registry, which the process shares.
struct Replacement {
  c10::Symbol original, ours;
};

const std::array<Replacement, 4>& replacements() {
  static const jit::RegisterOperators registered({
      jit::Operator("gradcam::scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, Tensor? attn_mask, "
                    "float dropout_p, bool is_causal, float? scale, bool enable_gqa) -> Tensor",
                    run_attention, c10::AliasAnalysisKind::FROM_SCHEMA),
      jit::Operator("gradcam::flash_attention(Tensor query, Tensor key, Tensor value, float dropout_p, bool is_causal, "
                    "Tensor? attn_mask, float? scale) -> (Tensor, Tensor)",
                    run_flash_attention, c10::AliasAnalysisKind::FROM_SCHEMA),
      jit::Operator(
          "gradcam::multi_head_attention(Tensor query, Tensor key, Tensor value, int embed_dim, int num_head, "
          "Tensor qkv_weight, Tensor qkv_bias, Tensor proj_weight, Tensor proj_bias, Tensor? mask, bool "
          "need_weights, bool average_attn_weights, int? mask_type) -> (Tensor, Tensor)",
          run_multi_head_attention, c10::AliasAnalysisKind::FROM_SCHEMA),
      jit::Operator("gradcam::encoder_layer(Tensor src, int embed_dim, int num_heads, Tensor qkv_weight, Tensor "
                    "qkv_bias, Tensor proj_weight, Tensor proj_bias, bool use_gelu, bool norm_first, float eps, Tensor "
                    "norm_weight_1, Tensor norm_bias_1, Tensor norm_weight_2, Tensor norm_bias_2, Tensor ffn_weight_1, "
                    "Tensor ffn_bias_1, Tensor ffn_weight_2, Tensor ffn_bias_2, Tensor? mask, int? mask_type) -> "
                    "Tensor",
                    run_encoder_layer, c10::AliasAnalysisKind::FROM_SCHEMA),
  });
  static const auto named = [](const char* original, const char* ours) {
    return Replacement{c10::Symbol::fromQualString(original), c10::Symbol::fromQualString(ours)};
  };
  static const std::array<Replacement, 4> all{{
      named("aten::scaled_dot_product_attention", "gradcam::scaled_dot_product_attention"),
      named("aten::_scaled_dot_product_flash_attention_for_cpu", "gradcam::flash_attention"),
      named("aten::_native_multi_head_attention", "gradcam::multi_head_attention"),
      named("aten::_transformer_encoder_layer_fwd", "gradcam::encoder_layer"),
  }};
  return all;
}

const Replacement* replacement_of(const jit::Node& node) {
  for (const auto& one : replacements()) {
    if (node.kind() != one.original) continue;
    // What only the kernel's own backward uses, we do not have.
    const bool needs_sums = one.ours == replacements()[1].ours && node.output(1)->hasUses();
    return needs_sums ? nullptr : &one;
  }
  return nullptr;
}

void replace_kernels(jit::Graph& graph) {
  std::vector<jit::Node*> found;
  for_each_node(graph.block(), [&](jit::Node* node) {
    if (replacement_of(*node)) found.push_back(node);
  });
  for (auto* old : found) {
    auto* node = old->owningGraph()->create(replacement_of(*old)->ours, old->inputs(), old->outputs().size());
    node->insertBefore(old)->copyMetadata(old);
    for (size_t i = 0; i < old->outputs().size(); ++i) node->output(i)->copyMetadata(old->output(i));
    old->replaceAllUsesWith(node);
    old->destroy();
  }
}

// Whether the code is that of a module of torch.nn which has fused kernels.
bool is_of_torch_nn(const jit::Function& function) {
  const auto name = function.qualname().qualifiedName();
  return name.find("torch.nn.modules.transformer.") != std::string::npos ||
         name.find("torch.nn.modules.activation.") != std::string::npos;
}

// torch.nn's modules ask whether a gradient is recorded and whether a parameter or the input requires one. Yes.
void take_differentiable_branches(std::shared_ptr<jit::Graph> graph) {
  static const auto kAsked = {c10::Symbol::fromQualString("aten::is_grad_enabled"),
                              c10::Symbol::fromQualString("prim::requires_grad")};
  std::vector<jit::Node*> questions;
  for_each_node(graph->block(), [&](jit::Node* node) {
    for (const auto& asked : kAsked)
      if (node->kind() == asked) questions.push_back(node);
  });
  if (questions.empty()) return;
  for (auto* question : questions) {
    const jit::WithInsertPoint here(question);
    question->output()->replaceAllUsesWith(graph->insertConstant(true));
    question->destroy();
  }
}

}  // namespace

void rewrite_attention(const jit::Module& module) {
  for (auto* function : module._ivalue()->compilation_unit()->get_functions()) {
    function->ensure_defined();
    const auto* with_graph = jit::tryToGraphFunction(*function);
    if (!with_graph) continue;
    if (is_of_torch_nn(*function)) take_differentiable_branches(with_graph->graph());
    replace_kernels(*with_graph->graph());
  }
}

}  // namespace gradcam
