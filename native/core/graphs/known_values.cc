#include "known_values.h"

#include <torch/csrc/jit/ir/constants.h>

namespace gradcam {

namespace jit = torch::jit;
using jit::Block;
using jit::Node;
using jit::Value;

const c10::ivalue::Object* module_of(const Frame& frame, const Value* value) {
  const auto* node = value->node();
  if (node->kind() == c10::prim::GetAttr) {
    const auto* parent = module_of(frame, node->input());
    if (!parent) return nullptr;
    const auto slot = parent->type()->findAttributeSlot(node->s(c10::attr::name));
    if (!slot) return nullptr;
    const auto& attribute = parent->getSlot(*slot);
    return attribute.isModule() ? &attribute.toObjectRef() : nullptr;
  }
  const auto inputs = frame.graph->inputs();
  return !inputs.empty() && value == inputs.front() ? frame.self : nullptr;
}

namespace {

// A value that does not depend on the input: modules are in evaluation mode, and attributes that are flags or texts are
// what they are. Those that a run changes are numbers that count, see Frame::numbers_stay.
std::optional<c10::IValue> known_value(const Frame& frame, const Value* value, int depth);

std::optional<bool> known_flag(const Frame& frame, const Value* value, int depth) {
  const auto known = known_value(frame, value, depth);
  return known && known->isBool() ? std::optional(known->toBool()) : std::nullopt;
}

bool is_number(const c10::IValue& value) { return value.isInt() || value.isDouble(); }

std::optional<c10::IValue> known_attribute(const Frame& frame, const Node* node) {
  const auto& name = node->s(c10::attr::name);
  if (name == "training") return c10::IValue(false);
  const auto* module = module_of(frame, node->input());
  if (!module) return std::nullopt;
  const auto slot = module->type()->findAttributeSlot(name);
  if (!slot) return std::nullopt;
  const auto& attribute = module->getSlot(*slot);
  const bool stays = attribute.isBool() || attribute.isString() || attribute.isNone();
  return stays || (frame.numbers_stay && is_number(attribute)) ? std::optional(attribute) : std::nullopt;
}

std::optional<c10::IValue> known_operation(const Frame& frame, const Node* node, int depth) {
  const std::string name = node->kind().is_aten() ? node->kind().toUnqualString() : "";
  const auto flag = [&](size_t input) { return known_flag(frame, node->input(input), depth + 1); };
  if (name == "__not__") {
    const auto one = flag(0);
    return one ? std::optional(c10::IValue(!*one)) : std::nullopt;
  }
  if (name == "__and__" || name == "__or__") {
    const auto left = flag(0), right = flag(1);
    const bool decisive = name == "__or__";
    if (left == decisive || right == decisive) return c10::IValue(decisive);
    return left && right ? std::optional(c10::IValue(!decisive)) : std::nullopt;
  }
  const bool same = name == "eq" || name == "__is__";
  const bool ordered = name == "gt" || name == "lt" || name == "ge" || name == "le";
  if (!same && !ordered && name != "ne" && name != "__isnot__") return std::nullopt;
  const auto left = known_value(frame, node->input(0), depth + 1);
  const auto right = known_value(frame, node->input(1), depth + 1);
  if (!left || !right) return std::nullopt;
  if (is_number(*left) && is_number(*right)) {
    const double a = left->toScalar().toDouble(), b = right->toScalar().toDouble();
    if (ordered) return c10::IValue(name == "gt" ? a > b : name == "lt" ? a < b : name == "ge" ? a >= b : a <= b);
    return c10::IValue((a == b) == same);
  }
  if (ordered) return std::nullopt;
  if (left->isString() && right->isString()) return c10::IValue((left->toStringRef() == right->toStringRef()) == same);
  if (left->isNone() || right->isNone()) return c10::IValue((left->isNone() && right->isNone()) == same);
  if (left->isBool() && right->isBool()) return c10::IValue((left->toBool() == right->toBool()) == same);
  return std::nullopt;
}

std::optional<c10::IValue> known_value(const Frame& frame, const Value* value, int depth) {
  if (depth > kDeepest) return std::nullopt;
  const auto* node = value->node();
  switch (node->kind()) {
    case c10::prim::Constant:
      return jit::toIValue(value);
    case c10::prim::GetAttr:
      return known_attribute(frame, node);
    case c10::prim::If: {
      const auto condition = known_flag(frame, node->input(0), depth + 1);
      if (condition)
        return known_value(frame, node->blocks()[*condition ? 0 : 1]->outputs()[value->offset()], depth + 1);
      const auto then = known_flag(frame, node->blocks()[0]->outputs()[value->offset()], depth + 1);
      const auto otherwise = known_flag(frame, node->blocks()[1]->outputs()[value->offset()], depth + 1);
      return then && then == otherwise ? std::optional(c10::IValue(*then)) : std::nullopt;
    }
    case c10::prim::Param: {
      const bool is_input = !node->owningBlock()->owningNode();
      const auto index = value->offset() + frame.skipped;
      if (!is_input || !frame.caller || index >= frame.call->inputs().size()) return std::nullopt;
      return known_value(*frame.caller, frame.call->input(index), depth + 1);
    }
    default:
      return known_operation(frame, node, depth);
  }
}

}  // namespace

std::vector<Block*> blocks_of(const Frame& frame, Node* node) {
  if (node->kind() == c10::prim::If)
    if (const auto condition = known_flag(frame, node->input(0), 0)) return {node->blocks()[*condition ? 0 : 1]};
  return node->blocks().vec();
}

void for_each_that_may_run(const Frame& frame, Block* block, const std::function<void(Node*)>& visit) {
  for (auto* node : block->nodes()) {
    visit(node);
    for (auto* inner : blocks_of(frame, node)) for_each_that_may_run(frame, inner, visit);
  }
}

bool is_always(bool value, const Frame& frame, const Node* node, const std::string& argument) {
  const auto* schema = node->maybeSchema();
  const auto index = schema ? schema->argumentIndexWithName(argument) : std::nullopt;
  if (!index || *index >= static_cast<int>(node->inputs().size())) return false;
  return known_flag(frame, node->input(static_cast<size_t>(*index)), 0) == value;
}

}  // namespace gradcam
