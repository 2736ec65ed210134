#include "image_flow.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/base/ivalues.h"
#include "split_ops.h"

namespace gradcam {

namespace jit = torch::jit;
using jit::Node;
using jit::Value;

namespace {

// What a value holds that depends on the images. `images` has them along the first of four dimensions, and `rows` along
// the first of two: the two are not broadcast together.
enum class Holds { images, rows, list_of_images, tuple, count, shape_of_images, shape_of_rows };

int64_t dimensions_of(Holds what) { return what == Holds::images ? 4 : 2; }

bool is_constant(const Value* value, const IValue& expected) { return jit::toIValue(value) == expected; }

// They compute each image of their first input alone, whatever their other inputs are.
bool is_of_each_image(const Node* node) {
  static const std::unordered_set<std::string> kinds{
      "aten::_convolution",
      "aten::adaptive_avg_pool2d",
      "aten::avg_pool2d",
      "aten::clamp",
      "aten::clamp_",
      "aten::clone",
      "aten::contiguous",
      "aten::conv2d",
      "aten::detach",
      "aten::elu",
      "aten::elu_",
      "aten::gelu",
      "aten::hardsigmoid",
      "aten::hardsigmoid_",
      "aten::hardswish",
      "aten::hardswish_",
      "aten::hardtanh",
      "aten::hardtanh_",
      "aten::leaky_relu",
      "aten::leaky_relu_",
      "aten::linear",
      "aten::max_pool2d",
      "aten::relu",
      "aten::relu6",
      "aten::relu6_",
      "aten::relu_",
      "aten::sigmoid",
      "aten::sigmoid_",
      "aten::silu",
      "aten::silu_",
      "aten::tanh",
      "aten::tanh_",
      "aten::upsample_bicubic2d",
      "aten::upsample_bilinear2d",
      "aten::upsample_nearest2d",
      "gradcam::constant_batch_norm",
      "gradcam::equal_convolution",
      "gradcam::fixed_convolution",
      "gradcam::masked_relu",
      "gradcam::masked_relu_",
      "gradcam::max_pool2d",
      "gradcam::to_layout",
  };
  return kinds.count(node->kind().toQualString()) > 0;
}

bool is_sum_or_product(const Node* node) {
  static const std::unordered_set<std::string> kinds{"aten::add", "aten::add_", "aten::div", "aten::div_",
                                                     "aten::mul", "aten::mul_", "aten::sub", "aten::sub_"};
  return kinds.count(node->kind().toQualString()) > 0;
}

// Which dimension of `dimensions` a constant names, from 0 on; none where it is not a constant.
std::optional<int64_t> named_dimension(const Value* value, int64_t dimensions) {
  const auto given = jit::toIValue(value);
  if (!given || !given->isInt()) return {};
  const auto dimension = given->toInt();
  return dimension < 0 ? dimension + dimensions : dimension;
}

// What the mean over positions of images holds; none where it is over other dimensions.
std::optional<Holds> held_by_mean(const Node* mean) {
  if (mean->inputs().size() != 4) return {};
  const auto dimensions = jit::toIValue(mean->input(1)), kept = jit::toIValue(mean->input(2));
  if (!dimensions || !dimensions->isIntList() || !kept) return {};
  bool rows = false, columns = false;
  for (const auto d : dimensions->toIntVector()) {
    rows |= d == 2 || d == -2;
    columns |= d == 3 || d == -1;
    if (d != 2 && d != 3 && d != -1 && d != -2) return {};
  }
  if (kept->toBool()) return rows || columns ? std::optional(Holds::images) : std::nullopt;
  return rows && columns ? std::optional(Holds::rows) : std::nullopt;
}

// A constant, or a number of one, that all images are combined with alike: broadcast along the images.
bool is_alike_for_all(const Value* value, Holds beside) {
  if (value->type()->isSubtypeOf(*c10::NumberType::get())) return true;
  const auto constant = jit::toIValue(value);
  if (!constant || !constant->isTensor()) return false;
  const auto& tensor = constant->toTensor();
  return tensor.dim() < dimensions_of(beside) || (tensor.dim() == dimensions_of(beside) && tensor.size(0) == 1);
}

// Normalises over the last dimensions, up to that of the images.
bool normalizes_each_image(const Node* layer_norm, Holds what) {
  const auto shape = jit::toIValue(layer_norm->input(1));
  return shape && shape->isIntList() && static_cast<int64_t>(shape->toIntVector().size()) < dimensions_of(what);
}

// Follows the images through a graph.
class ImageFlow {
 public:
  void start(const Value* value, Holds what) { held_[value] = what; }

  // What the values hold that the graph returns in a tuple; none where an image's may depend on another image, or a
  // value is neither a tensor of the images nor a tuple of such.
  std::optional<std::vector<Holds>> follow(const jit::Graph& graph) {
    const auto* returned = graph.outputs().at(0)->node();
    if (!follow(graph.block()) || returned->kind() != c10::prim::TupleConstruct) return {};
    std::vector<Holds> found;
    for (const auto* value : returned->inputs()) {
      if (!is_tensor(value) && !holds(value, Holds::tuple)) return {};
      found.push_back(held_.at(value));
    }
    return found;
  }

 private:
  bool follow(const jit::Block* block) {
    const auto nodes = block->nodes();
    return std::all_of(nodes.begin(), nodes.end(), [&](const Node* node) { return follow(node); });
  }

  bool holds(const Value* value, Holds what) const {
    const auto found = held_.find(value);
    return found != held_.end() && found->second == what;
  }

  bool is_followed(const Value* value) const { return held_.count(value) > 0; }
  bool is_images(const Value* value) const { return holds(value, Holds::images); }
  bool is_list(const Value* value) const { return holds(value, Holds::list_of_images); }
  bool is_tensor(const Value* value) const { return is_images(value) || holds(value, Holds::rows); }
  // None stands in the place of outputs that a model has only in training.
  bool may_be_in_tuple(const Value* value) const {
    return is_tensor(value) || holds(value, Holds::tuple) || is_constant(value, IValue());
  }

  bool set(const Value* value, Holds what) {
    held_[value] = what;
    return true;
  }

  bool follow_branches(const Node* node) {
    if (is_followed(node->input())) return false;
    for (const auto* block : node->blocks())
      if (!follow(block)) return false;
    const auto *yes = node->blocks().at(0), *no = node->blocks().at(1);
    for (size_t i = 0; i < node->outputs().size(); ++i) {
      const auto one = held_.find(yes->outputs()[i]), other = held_.find(no->outputs()[i]);
      if ((one == held_.end()) != (other == held_.end())) return false;
      if (one == held_.end()) continue;
      if (one->second != other->second) return false;
      set(node->output(i), one->second);
    }
    return true;
  }

  // Makes a list of images of one that is empty so far.
  bool follow_append(const Node* node) {
    const auto* list = node->input(0);
    const bool is_empty = list->node()->kind() == c10::prim::ListConstruct && list->node()->inputs().empty();
    if (!is_images(node->input(1)) || !(is_list(list) || is_empty)) return false;
    set(list, Holds::list_of_images);
    return set(node->output(), Holds::list_of_images);
  }

  // A list of images, or a shape that begins with their number.
  bool follow_list(const Node* node) {
    const auto elements = node->inputs();
    if (std::all_of(elements.begin(), elements.end(), [&](const Value* v) { return is_images(v); }))
      return set(node->output(), Holds::list_of_images);
    const bool is_shape = holds(elements[0], Holds::count) && none_followed(node, 1);
    if (!is_shape || (elements.size() != 2 && elements.size() != 4)) return false;
    return set(node->output(), elements.size() == 2 ? Holds::shape_of_rows : Holds::shape_of_images);
  }

  // The number of images, or one that is the same for every number of them.
  bool follow_size(const Node* node) {
    if (node->inputs().size() == 1) {
      const auto& uses = node->output()->uses();
      return std::all_of(uses.begin(), uses.end(), [](const jit::Use& u) { return u.user->kind() == c10::aten::len; });
    }
    if (!is_tensor(node->input(0))) return false;
    const auto dimension = named_dimension(node->input(1), dimensions_of(held_.at(node->input(0))));
    if (dimension == 0) set(node->output(), Holds::count);
    return dimension.has_value();
  }

  bool follow(const Node* node) {
    const auto kind = node->kind();
    if (kind == c10::prim::If) return follow_branches(node);
    if (!node->blocks().empty()) return false;
    if (none_followed(node, 0)) return true;
    const auto inputs = node->inputs();
    if (kind == c10::prim::ListConstruct) return follow_list(node);
    if (kind == c10::prim::TupleConstruct)
      return std::all_of(inputs.begin(), inputs.end(), [&](const Value* v) { return may_be_in_tuple(v); }) &&
             set(node->output(), Holds::tuple);
    if (kind == c10::aten::append) return follow_append(node);
    if (kind == c10::aten::size) return follow_size(node);
    if (kind == c10::aten::dim) return is_tensor(inputs[0]);
    if (kind == c10::aten::len) return is_list(inputs[0]);
    // A trace makes a tensor of a size, and a number of that again.
    if (kind == c10::prim::NumToTensor || kind == c10::aten::Int)
      return holds(inputs[0], Holds::count) && set(node->output(), Holds::count);
    const auto made = made_of_each_image(node);
    return made && set(node->output(), *made);
  }

  bool none_followed(const Node* node, size_t first) const {
    const auto inputs = node->inputs();
    return std::none_of(inputs.begin() + static_cast<std::ptrdiff_t>(first), inputs.end(),
                        [&](const Value* value) { return is_followed(value); });
  }

  // What an operator returns that computes each image alone; none where it is not known to.
  std::optional<Holds> made_of_each_image(const Node* node) const {
    const auto kind = node->kind();
    const auto inputs = node->inputs();
    const auto images_if = [](bool alone) { return alone ? std::optional(Holds::images) : std::nullopt; };
    if (kind == c10::aten::cat) return images_if(is_list(inputs[0]) && is_constant(inputs[1], 1));
    if (kind == ops::fixed_batch_norm || kind == ops::gated_convolution) return images_if(is_list(inputs[0]));
    if (kind == ops::fused_convolution)
      return images_if(is_list(inputs[0]) && (is_images(inputs[1]) || is_constant(inputs[1], IValue())));
    if (is_sum_or_product(node)) return made_by_sum_or_product(node);
    if (!is_tensor(inputs[0])) return {};
    const auto held = held_.at(inputs[0]);
    const auto held_if = [&](bool alone) { return alone ? std::optional(held) : std::nullopt; };
    if (kind == c10::aten::view || kind == c10::aten::reshape) {
      if (holds(inputs[1], Holds::shape_of_rows)) return Holds::rows;
      return images_if(holds(inputs[1], Holds::shape_of_images));
    }
    if (!none_followed(node, 1)) return {};
    if (is_of_each_image(node)) return held;
    if (kind == c10::aten::batch_norm) return held_if(is_constant(inputs[5], false));
    if (kind == c10::aten::dropout || kind == c10::Symbol::fromQualString("aten::dropout_"))
      return held_if(is_constant(inputs[2], false));
    if (kind == c10::aten::softmax || kind == c10::aten::log_softmax)
      return held_if(named_dimension(inputs[1], dimensions_of(held)).value_or(0) > 0);
    if (kind == c10::aten::layer_norm) return held_if(normalizes_each_image(node, held));
    if (kind == c10::aten::permute) {
      const auto order = jit::toIValue(inputs[1]);
      return held_if(order && order->isIntList() && !order->toIntVector().empty() && order->toIntVector()[0] == 0);
    }
    if (kind == c10::aten::flatten) {
      const bool all = is_constant(inputs[1], 1) && (is_constant(inputs[2], -1) || is_constant(inputs[2], 3));
      return all ? std::optional(Holds::rows) : std::nullopt;
    }
    return kind == c10::aten::mean && held == Holds::images ? held_by_mean(node) : std::nullopt;
  }

  std::optional<Holds> made_by_sum_or_product(const Node* node) const {
    const auto *one = node->input(0), *other = node->input(1);
    if (!none_followed(node, 2)) return {};
    if (!is_tensor(one)) {
      const std::string kind = node->kind().toQualString();
      if (is_followed(one) || !is_tensor(other) || kind.back() == '_') return {};
      std::swap(one, other);
    }
    const auto held = held_.at(one);
    const bool alike = is_followed(other) ? held_.at(other) == held : is_alike_for_all(other, held);
    return alike ? std::optional(held) : std::nullopt;
  }

  std::unordered_map<const Value*, Holds> held_;
};

// The input of a graph that is a tensor, where it reads no other.
std::optional<size_t> only_tensor_input(const jit::Graph& graph) {
  std::optional<size_t> found;
  for (size_t i = 0; i < graph.inputs().size(); ++i) {
    const auto* input = graph.inputs()[i];
    if (input->uses().empty() || input->type()->cast<c10::ClassType>()) continue;
    if (found || !input->type()->isSubtypeOf(*c10::TensorType::get())) return {};
    found = i;
  }
  return found;
}

struct Followed {
  size_t input;
  std::vector<Holds> returned;
};

std::optional<Followed> follow_images(const jit::Graph& graph) {
  const auto input = only_tensor_input(graph);
  if (!input) return {};
  ImageFlow flow;
  flow.start(graph.inputs()[*input], Holds::images);
  auto returned = flow.follow(graph);
  return returned ? std::optional(Followed{*input, std::move(*returned)}) : std::nullopt;
}

bool all_tensors(const std::vector<Holds>& values) {
  return std::all_of(values.begin(), values.end(), [](Holds v) { return v == Holds::images || v == Holds::rows; });
}

}  // namespace

std::optional<size_t> image_input(const jit::Graph& graph) {
  const auto found = follow_images(graph);
  return found && all_tensors(found->returned) ? std::optional(found->input) : std::nullopt;
}

std::optional<size_t> image_input(const jit::Graph* head, const jit::Graph& tail) {
  const auto first = follow_images(head ? *head : tail);
  if (!first) return {};
  if (!head) return first->input;
  if (!all_tensors(first->returned) || first->returned.size() != tail.inputs().size()) return {};
  ImageFlow flow;
  for (size_t i = 0; i < first->returned.size(); ++i) flow.start(tail.inputs()[i], first->returned[i]);
  return flow.follow(tail) ? std::optional(first->input) : std::nullopt;
}

}  // namespace gradcam
