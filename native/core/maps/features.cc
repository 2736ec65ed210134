#include "features.h"

#include <algorithm>
#include <string>

namespace gradcam {

namespace {

// The class of a module as it was named in Python.
std::string class_of(const c10::ivalue::Object& module) {
  const auto name = module.type()->name();
  return name ? name->name() : std::string();
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

bool is_recurrent(const std::string& name) { return name == "LSTM" || name == "GRU" || name == "RNN"; }

void add_features(const c10::ivalue::Object& module, FeatureSizes& features) {
  const auto name = class_of(module);
  const auto& type = *module.type();
  for (size_t i = 0; i < type.numAttributes(); ++i) {
    const auto& value = module.getSlot(i);
    if (!value.isTensor() || !value.toTensor().defined()) continue;
    const auto tensor = value.toTensor();
    const auto& attribute = type.getAttributeName(i);
    if (is_recurrent(name) && tensor.dim() == 2 && attribute.rfind("weight_hh", 0) == 0) {
      features.last.push_back(tensor.size(1));
      features.last.push_back(2 * tensor.size(1));  // both directions
    }
    if (attribute != "weight") continue;
    const bool is_last = (ends_with(name, "Linear") && tensor.dim() == 2) ||
                         ((ends_with(name, "LayerNorm") || ends_with(name, "RMSNorm")) && tensor.dim() == 1);
    auto& sizes = is_last ? features.last : features.others;
    sizes.push_back(tensor.dim() > 0 ? tensor.size(0) : 1);
    if (tensor.dim() > 2) sizes.push_back(tensor.size(1));  // of a transposed convolution
  }
}

void add_all(const c10::ivalue::Object& module, FeatureSizes& features) {
  add_features(module, features);
  const auto& type = *module.type();
  for (size_t i = 0; i < type.numAttributes(); ++i)
    if (type.getAttribute(i)->is_module()) add_all(*module.getSlot(i).toObject(), features);
}

bool has(const std::vector<int64_t>& sizes, int64_t size) {
  return std::find(sizes.begin(), sizes.end(), size) != sizes.end();
}

}  // namespace

FeatureSizes features_of(ModuleId layer) {
  FeatureSizes features;
  add_all(*static_cast<const c10::ivalue::Object*>(layer), features);
  return features;
}

bool features_come_last(const FeatureSizes& features, at::IntArrayRef shape) {
  return shape.size() > 2 && has(features.last, shape.back()) && !has(features.last, shape[1]) &&
         !has(features.others, shape[1]);
}

bool features_come_second(const FeatureSizes& features, at::IntArrayRef shape) {
  return shape.size() > 2 && has(features.others, shape[1]) && !has(features.last, shape.back());
}

}  // namespace gradcam
