#include "image_parts.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "split_ops.h"

namespace gradcam {

namespace jit = torch::jit;
using jit::Node;
using jit::Value;

namespace {

// With the images along the first of four dimensions, or of fewer after a flatten: the two are not broadcast together.
enum class Holds { images, rows, list_of_images, tuple };

bool is_constant(const Value* value, const IValue& expected) { return jit::toIValue(value) == expected; }

bool is_number(const Value* value) { return value->type()->isSubtypeOf(*c10::NumberType::get()); }

// They compute each image of their first input alone, whatever their other inputs are.
bool is_of_each_image(const Node* node) {
  static const std::unordered_set<std::string> kinds{
      "aten::_convolution",  "aten::adaptive_avg_pool2d",
      "aten::avg_pool2d",    "aten::clamp",
      "aten::clamp_",        "aten::conv2d",
      "aten::elu",           "aten::elu_",
      "aten::gelu",          "aten::hardsigmoid",
      "aten::hardsigmoid_",  "aten::hardswish",
      "aten::hardswish_",    "aten::hardtanh",
      "aten::hardtanh_",     "aten::leaky_relu",
      "aten::leaky_relu_",   "aten::linear",
      "aten::max_pool2d",    "aten::relu",
      "aten::relu6",         "aten::relu6_",
      "aten::relu_",         "aten::sigmoid",
      "aten::sigmoid_",      "aten::silu",
      "aten::silu_",         "aten::tanh",
      "aten::tanh_",         "gradcam::fixed_convolution",
      "gradcam::max_pool2d",
  };
  return kinds.count(node->kind().toQualString()) > 0;
}

bool is_sum_or_product(const Node* node) {
  static const std::unordered_set<std::string> kinds{"aten::add", "aten::add_", "aten::div", "aten::div_",
                                                     "aten::mul", "aten::mul_", "aten::sub", "aten::sub_"};
  return kinds.count(node->kind().toQualString()) > 0;
}

bool averages_positions(const Node* mean) {
  if (mean->inputs().size() != 4 || !is_constant(mean->input(2), true)) return false;
  const auto dimensions = jit::toIValue(mean->input(1));
  if (!dimensions || !dimensions->isIntList() || dimensions->toIntVector().empty()) return false;
  const auto list = dimensions->toIntVector();
  return std::all_of(list.begin(), list.end(), [](int64_t d) { return d == 2 || d == 3 || d == -1 || d == -2; });
}

// Follows the images through a graph.
class ImageFlow {
 public:
  explicit ImageFlow(const Value* images) { held_[images] = Holds::images; }

  bool follow(const jit::Block* block) {
    const auto nodes = block->nodes();
    return std::all_of(nodes.begin(), nodes.end(), [&](const Node* node) { return follow(node); });
  }

  bool is_tensor(const Value* value) const { return is_images(value) || holds(value, Holds::rows); }

 private:
  bool holds(const Value* value, Holds what) const {
    const auto found = held_.find(value);
    return found != held_.end() && found->second == what;
  }

  bool is_followed(const Value* value) const { return held_.count(value) > 0; }
  bool is_images(const Value* value) const { return holds(value, Holds::images); }
  bool is_list(const Value* value) const { return holds(value, Holds::list_of_images); }

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

  bool follow(const Node* node) {
    if (node->kind() == c10::prim::If) return follow_branches(node);
    if (!node->blocks().empty()) return false;
    const auto inputs = node->inputs();
    if (std::none_of(inputs.begin(), inputs.end(), [&](const Value* v) { return is_followed(v); })) return true;
    const auto kind = node->kind();
    if (kind == c10::prim::ListConstruct)
      return std::all_of(inputs.begin(), inputs.end(), [&](const Value* v) { return is_images(v); }) &&
             set(node->output(), Holds::list_of_images);
    if (kind == c10::prim::TupleConstruct)
      return std::all_of(inputs.begin(), inputs.end(), [&](const Value* v) { return is_tensor(v); }) &&
             set(node->output(), Holds::tuple);
    if (kind == c10::aten::append) return follow_append(node);
    // Numbers that are the same for every number of images.
    if (kind == c10::aten::dim) return is_tensor(inputs[0]);
    if (kind == c10::aten::len) return is_list(inputs[0]);
    if (kind == c10::aten::size && inputs.size() == 1) {
      const auto& uses = node->output()->uses();
      return std::all_of(uses.begin(), uses.end(), [](const jit::Use& u) { return u.user->kind() == c10::aten::len; });
    }
    if (!computes_each_image(node)) return false;
    const bool flattens = kind == c10::aten::flatten;
    return set(node->output(), flattens || holds(inputs[0], Holds::rows) ? Holds::rows : Holds::images);
  }

  // Whether the node computes each image alone, where some of its inputs are of the images.
  bool computes_each_image(const Node* node) const {
    const auto kind = node->kind();
    const auto inputs = node->inputs();
    const auto none_from = [&](size_t first) {
      return std::none_of(inputs.begin() + static_cast<std::ptrdiff_t>(first), inputs.end(),
                          [&](const Value* value) { return is_followed(value); });
    };
    if (kind == c10::aten::cat) return is_list(inputs[0]) && is_constant(inputs[1], 1);
    if (kind == ops::fixed_batch_norm) return is_list(inputs[0]);
    if (kind == ops::fused_convolution)
      return is_list(inputs[0]) && (is_images(inputs[1]) || is_constant(inputs[1], IValue()));
    if (!is_tensor(inputs[0])) return false;
    if (is_sum_or_product(node)) {
      const bool alike = is_followed(inputs[1]) ? held_.at(inputs[1]) == held_.at(inputs[0]) : is_number(inputs[1]);
      return alike && none_from(2);
    }
    if (!none_from(1)) return false;
    if (is_of_each_image(node)) return true;
    if (kind == c10::aten::batch_norm) return is_constant(inputs[5], false);
    if (kind == c10::aten::dropout || kind == c10::Symbol::fromQualString("aten::dropout_"))
      return is_constant(inputs[2], false);
    if (kind == c10::aten::flatten) return is_constant(inputs[1], 1);
    return kind == c10::aten::mean && is_images(inputs[0]) && averages_positions(node);
  }

  std::unordered_map<const Value*, Holds> held_;
};

// Of equal size up to one image. What is worth a part grows with the threads that share it.
int64_t count_parts(const Tensor& images) {
  constexpr int64_t kImage = int64_t{224} * 224, kPixels = 16 * kImage, kPixelsOfThread = 2 * kImage;
  const auto pixels = std::max<int64_t>(1, images.size(2) * images.size(3));
  const auto most = std::max<int64_t>(1, std::max(kPixels, kPixelsOfThread * at::get_num_threads()) / pixels);
  return (images.size(0) + most - 1) / most;
}

// Like `part`, with room for so many images.
Tensor make_room(const Tensor& part, int64_t images) {
  auto sizes = part.sizes().vec();
  sizes.at(0) = images;
  return at::empty(sizes, part.options(), part.suggest_memory_format());
}

}  // namespace

std::optional<size_t> image_input(const jit::Graph& graph) {
  std::optional<size_t> found;
  for (size_t i = 0; i < graph.inputs().size(); ++i) {
    const auto* input = graph.inputs()[i];
    if (input->uses().empty() || input->type()->cast<c10::ClassType>()) continue;
    if (found || !input->type()->isSubtypeOf(*c10::TensorType::get())) return {};
    found = i;
  }
  if (!found) return {};
  ImageFlow flow(graph.inputs()[*found]);
  if (!flow.follow(graph.block())) return {};
  const auto* returned = graph.outputs().at(0)->node();
  const auto values = returned->inputs();
  const bool all = returned->kind() == c10::prim::TupleConstruct &&
                   std::all_of(values.begin(), values.end(), [&](const Value* v) { return flow.is_tensor(v); });
  return all ? found : std::nullopt;
}

std::vector<IValue> run_in_parts(std::vector<IValue> inputs, size_t images,
                                 const std::function<std::vector<IValue>(std::vector<IValue>)>& run) {
  const auto& given = inputs.at(images);
  if (!given.isTensor() || given.toTensor().dim() != 4) return run(std::move(inputs));
  const auto batch = given.toTensor();
  // Other devices are fastest with all images at once.
  const auto parts = batch.is_cpu() ? count_parts(batch) : 1;
  if (parts <= 1) return run(std::move(inputs));
  std::vector<Tensor> whole;
  int64_t start = 0;
  for (const auto& part : batch.tensor_split(parts)) {
    inputs[images] = part;
    const auto values = run(inputs);
    whole.resize(values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      const auto value = values[i].toTensor();
      if (!whole[i].defined()) whole[i] = make_room(value, batch.size(0));
      whole[i].narrow(0, start, part.size(0)).copy_(value);
    }
    start += part.size(0);
  }
  return {whole.begin(), whole.end()};
}

}  // namespace gradcam
