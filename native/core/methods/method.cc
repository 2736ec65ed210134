#include "method.h"

#include "core/base/error.h"
#include "principal.h"

namespace gradcam {

namespace {

constexpr LayerMethod kLayerMethods[] = {
    {"gradcam",
     Needs::gradient,
     grad_cam,
     nullptr,
     /*amplifies_rounding=*/false,
     Rerun::none,
     {},
     /*averages_gradient=*/true},
    {"hirescam", Needs::gradient, hires_cam, nullptr},
    {"gradcam-elementwise", Needs::gradient, grad_cam_elementwise, nullptr},
    {"gradcam++", Needs::gradient, grad_cam_plus_plus, nullptr},
    {"xgradcam", Needs::gradient, xgrad_cam, nullptr, /*amplifies_rounding=*/true},
    {"layercam", Needs::gradient, layer_cam, nullptr},
    {"eigencam", Needs::activation, eigen_cam, principal_of_strength},
    {"eigengradcam", Needs::gradient, hires_cam, principal_of_evidence},
    {"kpcacam", Needs::activation, eigen_cam, kernel_principal},
    {"fem", Needs::activation, feature_explanation, nullptr},
    {"shapleycam", Needs::curvature, shapley_cam, nullptr},
    {"cam", Needs::gradient, class_activation, nullptr},
    {"scorecam", Needs::activation, score_cam, nullptr, /*amplifies_rounding=*/false, Rerun::masked},
    {"ablationcam", Needs::activation, ablation_cam, nullptr, /*amplifies_rounding=*/false, Rerun::ablated},
    {"randomcam", Needs::activation, random_cam, nullptr},
    {"segeigencam", Needs::gradient, seg_eigen_cam, principal_of_largest},
    {"smoothgradcam++",
     Needs::activation,
     smooth_grad_cam_plus_plus,
     nullptr,
     /*amplifies_rounding=*/false,
     Rerun::noisy_inputs,
     {4, 0.3}},
    {"sscam", Needs::activation, ss_cam, nullptr, /*amplifies_rounding=*/false, Rerun::noisy_masks, {10, 2.0}},
    {"iscam", Needs::activation, is_cam, nullptr, /*amplifies_rounding=*/false, Rerun::faded_masks, {10}},
    {"layer-activation", Needs::activation, layer_activation, nullptr},
    {"internal-influence",
     Needs::activation,
     internal_influence,
     nullptr,
     /*amplifies_rounding=*/false,
     Rerun::path,
     {50}},
    {"layer-conductance",
     Needs::activation,
     layer_conductance,
     nullptr,
     /*amplifies_rounding=*/false,
     Rerun::path_segments,
     {50}},
    {"layer-gradient-x-activation", Needs::gradient, hires_cam, nullptr},
    {"layer-integrated-gradients",
     Needs::activation,
     layer_integrated_gradients,
     nullptr,
     /*amplifies_rounding=*/false,
     Rerun::layer_path,
     {50}},
    {"layer-deeplift", Needs::activation, layer_deeplift, nullptr, /*amplifies_rounding=*/false, Rerun::rescaled},
};

}  // namespace

std::vector<std::string> layer_method_names() {
  std::vector<std::string> names;
  for (const auto& method : kLayerMethods) names.emplace_back(method.name);
  return names;
}

const LayerMethod& layer_method(const std::string& name) {
  std::string names;
  for (const auto& method : kLayerMethods) {
    if (name == method.name) return method;
    names += (names.empty() ? "" : ", ") + std::string(method.name);
  }
  throw Error("ERR_INVALID_ARGUMENT", "Unknown layer method '" + name + "': it must be one of " + names + ".");
}

Tensor over_space(const Tensor& weights, const Tensor& like) {
  auto shape = weights.sizes().vec();
  shape.resize(static_cast<size_t>(like.dim()), 1);
  return weights.reshape(shape);
}

}  // namespace gradcam
