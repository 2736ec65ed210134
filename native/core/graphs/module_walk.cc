#include "module_walk.h"

#include <torch/csrc/jit/api/function_impl.h>

#include <deque>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "known_values.h"

namespace gradcam {

namespace jit = torch::jit;
using jit::Block;
using jit::Graph;
using jit::Node;
using jit::Value;

namespace {

// Generated code may call one function very many times: what lies beyond is not looked at.
constexpr size_t kMostCalls = 100000;

std::string join(const std::string& path, const std::string& name) {
  return path.empty() || name.empty() ? path + name : path + "." + name;
}

std::optional<std::string> path_in(const Frame& frame, const Value* value) {
  return frame.graph->inputs().empty() ? std::nullopt : path_below(frame.graph->inputs().front(), value);
}

std::optional<Frame> callee(const Frame& frame, Node* node) {
  jit::Function* function = nullptr;
  Frame inner{nullptr, frame.path, &frame, node, nullptr};
  if (node->kind() == c10::prim::CallMethod) {
    const auto type = node->input(0)->type()->cast<c10::ClassType>();
    if (!type) return std::nullopt;
    function = type->findMethod(node->s(c10::attr::name));
    if (const auto below = path_in(frame, node->input(0))) inner.path = join(frame.path, *below);
    inner.self = module_of(frame, node->input(0));
  } else if (node->kind() == c10::prim::CallFunction) {
    const auto type = node->input(0)->type()->cast<c10::FunctionType>();
    if (!type) return std::nullopt;
    function = type->function();
    inner.skipped = 1;
  } else if (node->kind() == c10::prim::fork) {
    inner.graph = node->g(c10::attr::Subgraph).get();
    return inner;
  }
  if (!function) return std::nullopt;
  auto* with_graph = jit::tryToGraphFunction(*function);
  if (!with_graph) return std::nullopt;
  function->ensure_defined();
  inner.graph = with_graph->graph().get();
  return inner;
}

class Walk {
 public:
  explicit Walk(const std::function<void(const Frame&, Node*)>& visit) : visit_(visit) {}

  void frame(const Frame& frame, int depth) { block(frame, frame.graph->block(), depth); }

 private:
  void block(const Frame& frame, Block* block, int depth) {
    for (auto* node : block->nodes()) {
      visit_(frame, node);
      for (auto* inner : blocks_of(frame, node)) this->block(frame, inner, depth);
      if (depth >= kDeepest || calls_ >= kMostCalls) continue;
      if (const auto inner = callee(frame, node)) {
        ++calls_;
        this->frame(*inner, depth + 1);
      }
    }
  }

  const std::function<void(const Frame&, Node*)>& visit_;
  size_t calls_ = 0;
};

// Operators that pass on their first input or a part of it, although their schema does not say so.
bool passes_on(const Node* node) {
  switch (node->kind()) {
    case c10::prim::TupleUnpack:
    case c10::prim::TupleIndex:
    case c10::prim::TupleSlice:
    case c10::prim::ListUnpack:
    case c10::prim::unchecked_cast:
    case c10::prim::unchecked_unwrap_optional:
    case c10::aten::__getitem__:
    case c10::aten::wait:
      return true;
    default:
      return node->kind() == c10::Symbol::aten("_unwrap_optional") || node->kind() == c10::Symbol::prim("data");
  }
}

bool constructs(const Node* node) {
  return node->kind() == c10::prim::TupleConstruct || node->kind() == c10::prim::ListConstruct ||
         node->kind() == c10::prim::DictConstruct;
}

class Trace {
 public:
  Trace(const Tracing& tracing, const std::function<void(const Frame&, Node*)>& found)
      : tracing_(tracing), found_(found) {}

  void value(const Frame& frame, Value* value, int depth) {
    if (depth > 1000 || !seen_.emplace(&frame, value).second) return;
    auto* node = value->node();
    if (node->kind() == c10::prim::Param) return parameter(frame, value, depth);
    if (node->kind() == c10::prim::If) {
      for (auto* block : blocks_of(frame, node)) this->value(frame, block->outputs()[value->offset()], depth + 1);
      return;
    }
    if (node->kind() == c10::prim::Loop) {
      this->value(frame, node->input(value->offset() + 2), depth + 1);
      this->value(frame, node->blocks()[0]->outputs()[value->offset() + 1], depth + 1);
      return;
    }
    if (const auto inner = callee(frame, node)) {
      const auto& kept = frames_.emplace_back(*inner);
      this->value(kept, kept.graph->outputs().at(node->kind() == c10::prim::fork ? 0 : value->offset()), depth + 1);
      return;
    }
    if (constructs(node)) {
      for (auto* input : node->inputs()) this->value(frame, input, depth + 1);
      return;
    }
    if (passes_on(node)) return this->value(frame, node->input(0), depth + 1);
    if (node->kind() == c10::prim::GetAttr || node->kind() == c10::prim::Constant || !follow_alias(frame, value, depth))
      found_(frame, node);
  }

 private:
  // An input of a graph is what its caller gave; a value that a loop carries comes from before it, or from its end.
  void parameter(const Frame& frame, Value* value, int depth) {
    auto* block = value->node()->owningBlock();
    auto* owner = block->owningNode();
    const auto index = value->offset();
    if (!owner) {
      if (!frame.caller && tracing_.reached) tracing_.reached(index);
      if (frame.caller && index + frame.skipped < frame.call->inputs().size())
        this->value(*frame.caller, frame.call->input(index + frame.skipped), depth + 1);
      return;
    }
    if (owner->kind() != c10::prim::Loop || index == 0) return;
    this->value(frame, owner->input(index + 1), depth + 1);
    this->value(frame, block->outputs()[index], depth + 1);
  }

  // A view or an in-place operator: its schema says which inputs its output may share memory with.
  bool follow_alias(const Frame& frame, Value* value, int depth) {
    const auto* schema = value->node()->maybeSchema();
    if (!tracing_.past_views || !schema || value->offset() >= schema->returns().size()) return false;
    if (!schema->returns()[value->offset()].alias_info()) return false;
    bool followed = false;
    for (size_t i = 0; i < schema->arguments().size() && i < value->node()->inputs().size(); ++i) {
      const auto* alias = schema->arguments()[i].alias_info();
      if (!alias) continue;
      if (alias->isWrite() && !tracing_.past_writes) return false;
      this->value(frame, value->node()->input(i), depth + 1);
      followed = true;
    }
    return followed;
  }

  const Tracing& tracing_;
  const std::function<void(const Frame&, Node*)>& found_;
  std::deque<Frame> frames_;
  std::set<std::pair<const Frame*, const Value*>> seen_;
};

}  // namespace

void walk_calls(Graph& graph, const c10::ivalue::Object* self, const std::function<void(const Frame&, Node*)>& visit) {
  Frame whole{&graph, ""};
  whole.self = self;
  Walk(visit).frame(whole, 0);
}

void for_each_origin(const Frame& frame, Value* value, const Tracing& tracing,
                     const std::function<void(const Frame&, Node*)>& found) {
  Trace(tracing, found).value(frame, value, 0);
}

std::optional<std::string> path_below(const Value* self, const Value* value) {
  if (value == self) return std::string();
  const auto* node = value->node();
  if (node->kind() != c10::prim::GetAttr) return std::nullopt;
  const auto parent = path_below(self, node->input());
  if (!parent) return std::nullopt;
  return join(*parent, node->s(c10::attr::name));
}

std::optional<c10::IValue> attribute_value(const Frame& frame, const Node* get_attr) {
  const auto* module = module_of(frame, get_attr->input());
  const auto slot = module ? module->type()->findAttributeSlot(get_attr->s(c10::attr::name)) : std::nullopt;
  return slot ? std::optional(module->getSlot(*slot)) : std::nullopt;
}

std::string attribute_path(const Frame& frame, const Node* get_attr) {
  const auto below = path_in(frame, get_attr->output());
  return below ? join(frame.path, *below) : join(frame.path, get_attr->s(c10::attr::name));
}

}  // namespace gradcam
