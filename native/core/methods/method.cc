#include "method.h"

#include "../error.h"

namespace gradcam {

namespace {

constexpr LayerMethod kLayerMethods[] = {
    {"gradcam", grad_cam},
};

}  // namespace

const LayerMethod& layer_method(const std::string& name) {
  std::string names;
  for (const auto& method : kLayerMethods) {
    if (name == method.name) return method;
    names += (names.empty() ? "" : ", ") + std::string(method.name);
  }
  throw Error("ERR_INVALID_ARGUMENT", "There is no layer method '" + name + "'. There are: " + names + ".");
}

}  // namespace gradcam
