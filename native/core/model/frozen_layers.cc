#include "frozen_layers.h"

#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/split/split_graph.h"

namespace gradcam {

namespace jit = torch::jit;

namespace {

// The operators that are layers, and the class of torch.nn that each stands for. One that ends in _ works in place.
const std::unordered_map<std::string, const char*>& layer_classes() {
  static const std::unordered_map<std::string, const char*> kClasses = {
      {"conv1d", "Conv1d"},
      {"conv2d", "Conv2d"},
      {"conv3d", "Conv3d"},
      {"conv_transpose1d", "ConvTranspose1d"},
      {"conv_transpose2d", "ConvTranspose2d"},
      {"conv_transpose3d", "ConvTranspose3d"},
      {"linear", "Linear"},
      {"addmm", "Linear"},
      {"batch_norm", "BatchNorm"},
      {"instance_norm", "InstanceNorm"},
      {"layer_norm", "LayerNorm"},
      {"group_norm", "GroupNorm"},
      {"relu", "ReLU"},
      {"relu6", "ReLU6"},
      {"hardtanh", "Hardtanh"},
      {"leaky_relu", "LeakyReLU"},
      {"prelu", "PReLU"},
      {"elu", "ELU"},
      {"celu", "CELU"},
      {"selu", "SELU"},
      {"gelu", "GELU"},
      {"silu", "SiLU"},
      {"mish", "Mish"},
      {"softplus", "Softplus"},
      {"hardswish", "Hardswish"},
      {"hardsigmoid", "Hardsigmoid"},
      {"sigmoid", "Sigmoid"},
      {"tanh", "Tanh"},
      {"softmax", "Softmax"},
      {"log_softmax", "LogSoftmax"},
      {"max_pool2d", "MaxPool2d"},
      {"avg_pool2d", "AvgPool2d"},
      {"adaptive_max_pool2d", "AdaptiveMaxPool2d"},
      {"adaptive_avg_pool2d", "AdaptiveAvgPool2d"},
  };
  return kClasses;
}

std::optional<at::Tensor> constant_tensor(const jit::Value* value) {
  const auto constant = jit::toIValue(value);
  if (!constant || !constant->isTensor() || !constant->toTensor().defined()) return {};
  return constant->toTensor();
}

// A traced convolution says by its arguments what it is.
std::string convolution_name(const jit::Node* node) {
  const auto weight = constant_tensor(node->namedInput("weight"));
  const auto transposed = jit::constant_as<bool>(node->namedInput("transposed"));
  if (!weight || weight->dim() < 3 || weight->dim() > 5) return "";
  return std::string(transposed.value_or(false) ? "conv_transpose" : "conv") + std::to_string(weight->dim() - 2) + "d";
}

// The name of the layer that a node is, without a number; empty for any other node.
std::string layer_name(const jit::Node* node) {
  if (!node->kind().is_aten() || node->outputs().size() != 1 || !node->blocks().empty() || !node->maybeSchema())
    return "";
  std::string name = node->kind().toUnqualString();
  if (name == "_convolution" || name == "convolution") name = convolution_name(node);
  if (name.ends_with("_")) name.pop_back();
  return layer_classes().count(name) ? name : "";
}

// The name of the attribute that holds a constant argument; empty where it stays in the code.
std::string attribute_name(const jit::Node* node, size_t argument) {
  const auto& arguments = node->schema().arguments();
  if (argument >= arguments.size()) return "";
  const auto& name = arguments[argument].name();
  if (name != "weight" && name != "bias" && name != "running_mean" && name != "running_var") return "";
  const auto tensor = constant_tensor(node->inputs()[argument]);
  return tensor && tensor->is_floating_point() ? name : "";
}

void add_tensor(jit::Module& layer, const std::string& name, const at::Tensor& tensor) {
  if (name.starts_with("running"))
    layer.register_buffer(name, tensor);
  else
    layer.register_parameter(name, tensor, /*is_buffer=*/false);
}

// The submodule that computes what a node does. `passed` gets the values of the node that it takes as arguments.
jit::Module make_layer(const jit::Module& module, jit::Node* node, const std::string& name,
                       std::vector<jit::Value*>& passed) {
  const auto unit = module._ivalue()->compilation_unit();
  jit::Module layer(c10::QualifiedName("__torch__.frozen." + std::string(layer_classes().at(name))), unit,
                    /*shouldMangle=*/true);
  layer.register_attribute("training", c10::BoolType::get(), false);
  for (size_t i = 0; i < node->inputs().size(); ++i)
    if (const auto attribute = attribute_name(node, i); !attribute.empty())
      add_tensor(layer, attribute, *constant_tensor(node->inputs()[i]));

  const auto graph = std::make_shared<jit::Graph>();
  auto* self = graph->addInput("self")->setType(layer.type());
  std::unordered_map<jit::Value*, jit::Value*> inside;
  for (size_t i = 0; i < node->inputs().size(); ++i) {
    auto* value = node->inputs()[i];
    if (inside.count(value)) continue;
    if (const auto attribute = attribute_name(node, i); !attribute.empty()) {
      inside[value] = graph->insertGetAttr(self, attribute);
    } else if (value->node()->kind() == c10::prim::Constant) {
      inside[value] = graph->insertNode(graph->createClone(value->node(), [](jit::Value* v) { return v; }))->output();
    } else {
      inside[value] = graph->addInput()->setType(value->type());
      passed.push_back(value);
    }
  }
  auto* computed = graph->insertNode(graph->createClone(node, [&](jit::Value* value) { return inside.at(value); }));
  graph->registerOutput(computed->output());
  layer.type()->addMethod(unit->create_function(c10::QualifiedName(*layer.type()->name(), "forward"), graph));
  return layer;
}

void replace_by_call(jit::Graph& graph, jit::Node* node, const std::string& name,
                     const std::vector<jit::Value*>& passed) {
  const jit::WithInsertPoint here(node);
  std::vector<jit::Value*> inputs = {graph.insertGetAttr(graph.inputs().at(0), name)};
  inputs.insert(inputs.end(), passed.begin(), passed.end());
  auto* call = graph.insertNode(graph.create(c10::prim::CallMethod, inputs))->s_(c10::attr::name, "forward");
  call->copyMetadata(node);
  call->output()->copyMetadata(node->output());
  node->output()->replaceAllUsesWith(call->output());
  node->destroy();
}

std::string numbered(const std::string& name, std::map<std::string, int>& counts) {
  const int number = counts[name]++;
  return number == 0 ? name : name + "_" + std::to_string(number);
}

}  // namespace

bool restore_layers(jit::Module& module) {
  auto* forward = jit::tryToGraphFunction(module.get_method("forward").function());
  if (!forward) return false;
  auto& graph = *forward->graph();
  std::vector<std::pair<jit::Node*, std::string>> layers;
  for_each_node(graph.block(), [&](jit::Node* node) {
    if (auto name = layer_name(node); !name.empty()) layers.emplace_back(node, std::move(name));
  });
  std::map<std::string, int> counts;
  for (const auto& [node, name] : layers) {
    auto own = numbered(name, counts);
    while (module.hasattr(own)) own = numbered(name, counts);
    std::vector<jit::Value*> passed;
    module.register_module(own, make_layer(module, node, name, passed));
    replace_by_call(graph, node, own, passed);
  }
  jit::EliminateDeadCode(forward->graph());
  return !layers.empty();
}

}  // namespace gradcam
