#include "max_pool_rewrite.h"

#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/runtime/custom_operator.h>

#include <vector>

#include "core/autograd/max_pool.h"
#include "core/split/split_graph.h"

namespace gradcam {

namespace jit = torch::jit;

namespace {

void run_max_pool2d(jit::Stack& stack) {
  const bool ceil_mode = jit::pop(stack).toBool();
  const auto dilation = jit::pop(stack).toIntVector(), padding = jit::pop(stack).toIntVector();
  const auto stride = jit::pop(stack).toIntVector(), kernel = jit::pop(stack).toIntVector();
  const auto input = jit::pop(stack).toTensor();
  jit::push(stack, max_pool(input, kernel, stride, padding, dilation, ceil_mode));
}

// It is added to LibTorch's registry of operators, which the process shares, under a name of its own.
c10::Symbol registered_max_pool2d() {
  static const jit::RegisterOperators registered({jit::Operator(
      "gradcam::max_pool2d(Tensor self, int[] kernel_size, int[] stride, int[] padding, int[] dilation, bool "
      "ceil_mode) -> Tensor",
      run_max_pool2d, c10::AliasAnalysisKind::FROM_SCHEMA)});
  return c10::Symbol::fromQualString("gradcam::max_pool2d");
}

void rewrite_graph_of(jit::Graph& graph, c10::Symbol replacement) {
  std::vector<jit::Node*> pools;
  for_each_node(graph.block(), [&](jit::Node* node) {
    if (node->kind() == c10::aten::max_pool2d) pools.push_back(node);
  });
  for (auto* pool : pools) {
    auto* node = pool->owningGraph()->create(replacement, pool->inputs())->insertBefore(pool)->copyMetadata(pool);
    node->output()->copyMetadata(pool->output());
    pool->output()->replaceAllUsesWith(node->output());
    pool->destroy();
  }
}

}  // namespace

void rewrite_max_pools(const jit::Module& module) {
  const auto replacement = registered_max_pool2d();
  for (auto* function : module._ivalue()->compilation_unit()->get_functions()) {
    function->ensure_defined();
    if (const auto* with_graph = jit::tryToGraphFunction(*function))
      rewrite_graph_of(*with_graph->graph(), replacement);
  }
}

}  // namespace gradcam
