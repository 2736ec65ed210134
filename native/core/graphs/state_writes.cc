#include "state_writes.h"

#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>

#include "module_walk.h"
#include "operators.h"

namespace gradcam {

namespace jit = torch::jit;
using jit::Node;
using jit::Value;

namespace {

// The inputs that a node changes in place.
std::vector<Value*> changed_inputs(const Frame& frame, Node* node) {
  // In training mode it updates its statistics, which its schema does not tell.
  if (node->kind() == c10::aten::batch_norm && is_always(true, frame, node, "training"))
    return {node->input(3), node->input(4)};
  return written_inputs(node);
}

template <typename T>
void add_once(std::vector<T>& list, const T& value) {
  if (std::find(list.begin(), list.end(), value) == list.end()) list.push_back(value);
}

// Whether an object is one that the run itself makes, such as the list of images of a detector: it goes with the run.
bool is_made_by_run(const Frame& frame, Value* object) {
  bool made = false, given = false;
  const Tracing tracing{.past_writes = true, .reached = [&](size_t) { given = true; }};
  for_each_origin(frame, object, tracing, [&](const Frame&, Node* origin) {
    (origin->kind() == c10::prim::CreateObject ? made : given) = true;
  });
  return made && !given;
}

}  // namespace

std::string StateWrites::text() const {
  const auto by = operators.empty() ? std::string() : " (" + operators.front() + ")";
  return (attributes.empty() ? std::string("a constant of its code") : "its attribute '" + attributes.front() + "'") +
         by;
}

StateWrites find_state_writes(jit::Graph& graph, const c10::ivalue::Object* self) {
  StateWrites writes;
  walk_calls(graph, self, [&](const Frame& frame, Node* node) {
    if (node->kind() == c10::prim::SetAttr) {
      if (is_made_by_run(frame, node->input(0))) return;
      const auto* of = node->input(0)->node();
      const auto object = of->kind() == c10::prim::GetAttr ? attribute_path(frame, of) : frame.path;
      add_once(writes.attributes, object.empty() ? node->s(c10::attr::name) : object + "." + node->s(c10::attr::name));
      add_once(writes.operators, std::string("an assignment"));
      return;
    }
    for (auto* value : changed_inputs(frame, node))
      for_each_origin(frame, value, {.past_writes = true}, [&](const Frame& at, Node* origin) {
        if (origin->kind() == c10::prim::GetAttr) {
          if (origin->output()->type()->kind() == c10::TypeKind::NoneType) return;  // a batch norm without statistics
          add_once(writes.attributes, attribute_path(at, origin));
        } else if (origin->kind() == c10::prim::Constant) {
          const auto constant = jit::toIValue(origin->output());
          if (!constant || !constant->isTensor()) return;
          const auto& tensor = constant->toTensor();
          const auto known = [&](const at::Tensor& other) { return other.is_same(tensor); };
          if (std::none_of(writes.constants.begin(), writes.constants.end(), known)) writes.constants.push_back(tensor);
        } else {
          return;
        }
        add_once(writes.operators, std::string(node->kind().toQualString()));
      });
  });
  return writes;
}

}  // namespace gradcam
