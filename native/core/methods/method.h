#pragma once
#include <torch/script.h>

#include <cstdint>
#include <string>
#include <vector>

namespace gradcam {

using torch::Tensor;

// What a target layer shows of one pass: tensors [N, C, spatial...] in at least float32.
struct LayerEvidence {
  Tensor activation;  // A
  Tensor gradient;    // G = d(sum of scores)/dA; undefined where no method of the pass needs it
  Tensor curvature;   // H A, the Hessian of the score times A; undefined likewise
  // What methods ask for that run the model again, in float64; undefined likewise.
  Tensor score;           // [N]: of the image as it is
  Tensor ablated_scores;  // [N, C]: with zeros instead of each channel
  Tensor masked_scores;   // [N, C]: of the input under the mask that each channel makes, as the method masks it
  // What methods ask for that differentiate the model at other inputs; undefined likewise.
  Tensor noisy_gradient, noisy_square, noisy_cube;  // the means of G, G^2 and G^3 over noisy copies of the input
  Tensor path_gradient;                             // the mean of G on the straight line from a baseline to the input
  Tensor conductance;                               // the sum of G dA over steps on that line
  // What methods ask for that compare the layer with what it returned at the baseline, A0; undefined likewise.
  Tensor baseline_activation;  // A0
  Tensor layer_path_gradient;  // the mean of G where the layer returns the points of the straight line from A0 to A
  Tensor rescaled_gradient;    // G with DeepLIFT's rescale rule for what comes after the layer
  uint64_t seed = 0;
};

// How much of a pass a method needs: each step includes the ones before it.
enum class Needs { activation, gradient, curvature };

// What a method has the model run again on: see LayerEvidence.
enum class Rerun {
  none,
  // Once per channel.
  ablated,
  masked,
  // Several times per channel, whose scores are averaged.
  faded_masks,  // masks from faint to strong
  noisy_masks,  // masks with noise
  // Whole passes with a gradient.
  noisy_inputs,
  path,           // on the straight line from a baseline to the input
  path_segments,  // likewise, with the change of the activation between neighbours
  layer_path,     // on the straight line between what the layer returns at the baseline and at the input
  rescaled,       // by DeepLIFT's rescale rule, from a baseline
};

// How often a method has the model run again (for each channel, where it masks), and the deviation of its noise.
struct Sampling {
  int64_t count = 1;
  double sigma = 0;
};

// A method that makes a map of a target layer. Each has a file with its formula and its source.
struct LayerMethod {
  const char* name;
  Needs needs;
  // What each channel adds to the map: [N, C, spatial...].
  Tensor (*contribution)(const LayerEvidence& evidence);
  // Makes [N, 1, spatial...] of it; null for the sum over channels, the one thing that eigen smoothing replaces.
  Tensor (*reduce)(const Tensor& contribution);
  // Divides by what may be next to zero: the rounding of a split model would come out a hundred times as large.
  bool amplifies_rounding = false;
  Rerun rerun = Rerun::none;
  Sampling sampling = {};          // where the caller says nothing else
  bool averages_gradient = false;  // weighs channels by the mean of their gradient over space
};

// The method of that name, or ERR_INVALID_ARGUMENT with the names there are.
const LayerMethod& layer_method(const std::string& name);
std::vector<std::string> layer_method_names();

Tensor grad_cam(const LayerEvidence& evidence);
Tensor hires_cam(const LayerEvidence& evidence);
Tensor grad_cam_elementwise(const LayerEvidence& evidence);
Tensor grad_cam_plus_plus(const LayerEvidence& evidence);
Tensor xgrad_cam(const LayerEvidence& evidence);
Tensor layer_cam(const LayerEvidence& evidence);
Tensor shapley_cam(const LayerEvidence& evidence);
Tensor class_activation(const LayerEvidence& evidence);
Tensor feature_explanation(const LayerEvidence& evidence);
Tensor random_cam(const LayerEvidence& evidence);
Tensor score_cam(const LayerEvidence& evidence);
Tensor ablation_cam(const LayerEvidence& evidence);
Tensor eigen_cam(const LayerEvidence& evidence);
Tensor seg_eigen_cam(const LayerEvidence& evidence);
Tensor smooth_grad_cam_plus_plus(const LayerEvidence& evidence);
Tensor ss_cam(const LayerEvidence& evidence);
Tensor is_cam(const LayerEvidence& evidence);
Tensor layer_activation(const LayerEvidence& evidence);
Tensor internal_influence(const LayerEvidence& evidence);
Tensor layer_conductance(const LayerEvidence& evidence);
Tensor layer_integrated_gradients(const LayerEvidence& evidence);
Tensor layer_deeplift(const LayerEvidence& evidence);

// [N, C] with a dimension of one for each spatial one, to multiply [N, C, spatial...] by.
Tensor over_space(const Tensor& weights, const Tensor& like);

// [N, C, spatial...] summed over space.
inline Tensor sum_over_space(const Tensor& tensor) { return tensor.flatten(2).sum(-1); }
inline Tensor mean_over_space(const Tensor& tensor) { return tensor.flatten(2).mean(-1); }

}  // namespace gradcam
