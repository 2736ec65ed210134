#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/hooks/hook_registry.h"
#include "core/methods/method.h"
#include "features.h"

namespace gradcam {

// The dimensions of a layer's activation, where they are not [N, C, spatial...].
struct LayerShape {
  enum class Kind {
    channels_first,  // [N, C, spatial...]
    tokens,   // [N, T, C]: the first `skip` tokens (class token, registers) are not spatial, the others form a grid
    permute,  // permuted by `order` to [N, C, spatial...]
    custom,   // converted by `custom`, as its gradient is
  };
  Kind kind = Kind::channels_first;
  int64_t skip = 0;
  std::vector<int64_t> grid;  // of the tokens; empty: one with the aspect ratio of the input
  std::vector<int64_t> order;
  std::function<Tensor(const Tensor&)> custom;  // called on the thread of the pass
};

enum class Aggregate { each, mean, max, product };

// Which maps of the target layers are computed, and in which form.
struct MapPlan {
  std::vector<const LayerMethod*> methods;
  bool relu = true;            // max(map, 0)
  bool contributions = false;  // what each channel adds is kept beside the map
  bool eigen_smooth = false;   // the first principal component over channels instead of their sum
  // pytorch-grad-cam's form: each map min-max normalised, resized to the input, combined over layers, and normalised
  // again.
  bool input_size = false;
  Aggregate aggregate = Aggregate::each;  // anything else requires input_size
  LayerShape shape;
  uint64_t seed = 0;
  int64_t chunk_size = 32;  // copies of images that run at a time, for methods that run the model again
  // Of methods that run the model several times; by default what each of them says.
  std::optional<int64_t> samples, steps;
  std::optional<double> sigma;
  double baseline = 0;  // where the straight line to the input begins, for methods that follow it

  Needs needs() const;
  bool reruns(Rerun what) const;
  bool reruns_nothing() const;
  // Whether a method weighs channels by the mean of their gradient over space.
  bool averages_gradient() const;
  Sampling sampling(const LayerMethod& method) const;
};

// What a method makes of a layer.
struct LayerMap {
  Tensor map;           // [N, 1, spatial...]
  Tensor contribution;  // [N, C, spatial...]: what each channel adds, where the plan asks for it
  Tensor constant;      // [N], true where the map, before it is normalised, has one value other than 0 within rounding
  std::vector<bool> same_scores;  // see MethodMap
};

struct MethodMap {
  Tensor map;                    // [N, 1, spatial...]
  Tensor contribution;           // of a map of one layer: see LayerMap
  std::vector<bool> all_zero;    // per image: the map is zero everywhere
  std::vector<bool> non_finite;  // per image: the map contains NaN or infinity
  std::vector<bool> constant;    // per image: it, or each map that it is made of, has one value within rounding, not 0
  // Per image: the scores with each channel masked or ablated are those of the image within rounding; empty for methods
  // without masks.
  std::vector<bool> same_scores;
};

// Maps are computed in at least float32.
Tensor at_least_float32(const Tensor& tensor);

// What the dimensions of a layer's output are, as far as its parameters and its shape tell: the last two of a map of an
// image have about the proportions of the image. `input_size`: the spatial sizes of the model's input.
enum class Layout {
  channels_first,  // [N, C, spatial...]
  tokens,          // [N, T, C]
  channels_last,   // [N, spatial..., C]
};
Layout layout_of(at::IntArrayRef shape, const std::vector<int64_t>& input_size, const FeatureSizes& features);

// A layer by its path, for messages, and itself.
struct NamedLayer {
  const std::string& path;
  ModuleId id;
};

// An activation, or its gradient, as [N, C, spatial...]. Throws ERR_LAYER_OUTPUT where `shape` does not fit it.
Tensor channels_first(const Tensor& tensor, const LayerShape& shape, const std::vector<int64_t>& input_size,
                      const NamedLayer& layer);

// Which dimensions of a layer's output are the images and the channels. Unknown for a custom shape: methods that set
// channels of the layer's own output to zero are refused with one.
struct LayerDims {
  int64_t images, channels;
};
LayerDims layer_dims(const LayerShape& shape);

// A map, [N, 1, spatial...] with one to three spatial dimensions, at another size: linear, with align_corners=false and
// no antialias.
Tensor upsample_linear(const Tensor& map, at::IntArrayRef size);

// Of a tensor of bool, wherever it is.
std::vector<bool> to_flags(const Tensor& flags);

// Min-max normalises over the dimensions from `first` on, by default each image: shifted = values - min(values);
// shifted / (max(shifted) + epsilon), by default with the epsilon of pytorch-grad-cam's maps; zeros where the values
// are one number but for rounding.
Tensor min_max(const Tensor& values, int64_t first = 1, double epsilon = 1e-7);

// What a layer shows of a pass, as [N, C, spatial...] in at least float32. `input_size`: the spatial sizes of the
// model's input.
LayerEvidence shaped_evidence(const MapPlan& plan, LayerEvidence evidence, const NamedLayer& layer,
                              const std::vector<int64_t>& input_size);

// The map of one method, from evidence that was shaped.
LayerMap layer_map(const MapPlan& plan, const LayerMethod& method, const LayerEvidence& evidence,
                   const std::string& path, const std::vector<int64_t>& input_size);

// The maps of one method, by layer, in their final form: one per layer, or one of all layers where they are aggregated.
std::vector<MethodMap> finish_maps(const MapPlan& plan, const std::vector<LayerMap>& by_layer);

}  // namespace gradcam
