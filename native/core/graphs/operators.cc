#include "operators.h"

namespace gradcam {

namespace jit = torch::jit;

bool is_one_of(const jit::Node* node, const std::unordered_set<std::string>& names) {
  return node->kind().is_aten() && names.count(node->kind().toUnqualString()) > 0;
}

std::vector<jit::Value*> written_inputs(const jit::Node* node) {
  std::vector<jit::Value*> written;
  const auto* schema = node->maybeSchema();
  if (!schema) return written;
  const auto& arguments = schema->arguments();
  for (size_t i = 0; i < arguments.size() && i < node->inputs().size(); ++i)
    if (const auto* alias = arguments[i].alias_info(); alias && alias->isWrite())
      written.push_back(const_cast<jit::Value*>(node->input(i)));
  return written;
}

}  // namespace gradcam
