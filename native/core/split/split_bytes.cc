#include "split_bytes.h"

#include <torch/csrc/jit/api/function_impl.h>

#include <functional>

#include "core/base/ivalues.h"
#include "split_graph.h"
#include "split_ops.h"

namespace gradcam {

namespace jit = torch::jit;

namespace {

void for_each_constant(jit::Graph& graph, const std::function<void(const Tensor&)>& fn) {
  for_each_node(graph.block(), [&](const jit::Node* node) {
    if (node->kind() != c10::prim::Constant || node->outputs().empty()) return;
    if (const auto value = jit::toIValue(node->output()))
      for_each_tensor(*value, [&](const Tensor& tensor) {
        if (tensor.defined() && tensor.has_storage()) fn(tensor);
      });
  });
}

// Of a convolution or of its adjoint, at most: Winograd's has 16 values for a kernel of 9.
size_t packed_bytes(const Tensor& weight) {
  return weight.dim() == 4 && weight.size(2) == 3 && weight.size(3) == 3 ? weight.nbytes() / 9 * 16 : weight.nbytes();
}

const c10::StorageImpl* storage_of(const Tensor& tensor) { return tensor.storage().unsafeGetStorageImpl(); }

}  // namespace

Storages shared_storages(const jit::Module& copy) {
  Storages shared;
  const auto share = [&](const Tensor& tensor) {
    if (tensor.defined() && tensor.has_storage()) shared.insert(storage_of(tensor));
  };
  for (const auto& parameter : copy.parameters()) share(parameter);
  for (const auto& buffer : copy.buffers()) share(buffer);
  for (const auto& module : copy.modules())
    for (auto* method : module.type()->methods())
      if (auto* function = jit::tryToGraphFunction(*method)) for_each_constant(*function->graph(), share);
  return shared;
}

size_t count_own_bytes(jit::Graph& graph, size_t packings, Storages& counted) {
  size_t bytes = 0;
  for_each_constant(graph, [&](const Tensor& constant) {
    if (counted.insert(storage_of(constant)).second) bytes += constant.storage().nbytes();
  });
  for_each_node(graph.block(), [&](const jit::Node* node) {
    const auto kind = node->kind();
    const auto bytes_of = [&](size_t weight) {
      return packings * packed_bytes(jit::toIValue(node->input(weight))->toTensor());
    };
    if (kind == ops::fixed_convolution || kind == ops::equal_convolution) bytes += bytes_of(1);
    if (kind == ops::fused_convolution) bytes += bytes_of(5);
    if (kind == ops::gated_convolution) bytes += bytes_of(7);
  });
  return bytes;
}

}  // namespace gradcam
