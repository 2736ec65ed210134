#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/methods/method.h"

namespace gradcam {

// How the activation of a layer is laid out, where that is not [N, C, spatial...].
struct LayerShape {
  enum class Kind {
    channels_first,  // as it is
    tokens,   // [N, T, C]: the first `skip` tokens (a class token, registers) are no places, the others are a grid
    permute,  // `order` of the dimensions makes [N, C, spatial...]
    custom,   // what `custom` makes of it, and of its gradient
  };
  Kind kind = Kind::channels_first;
  int64_t skip = 0;
  std::vector<int64_t> grid;  // of the tokens; empty: in the proportions of the input
  std::vector<int64_t> order;
  std::function<Tensor(const Tensor&)> custom;  // on the thread of the pass
};

enum class Aggregate { each, mean, max, product };

// Which maps are made of the target layers, and in which form.
struct MapPlan {
  std::vector<const LayerMethod*> methods;
  bool relu = true;           // max(map, 0)
  bool eigen_smooth = false;  // the first principal component over channels in place of their sum
  // pytorch-grad-cam's form: each map min-max'd, resized to the input, combined over layers, and min-max'd again.
  bool input_size = false;
  Aggregate aggregate = Aggregate::each;  // anything else needs input_size
  LayerShape shape;
  uint64_t seed = 0;
  int64_t chunk_size = 32;  // copies of images that run at a time, for methods that run the model again

  Needs needs() const;
  bool reruns(Rerun what) const;
};

struct MethodMap {
  Tensor map;                // [N, 1, spatial...]
  std::vector<bool> zero;    // per image: nothing but zeros
  std::vector<bool> broken;  // per image: something that is not finite
};

// Map mathematics happens in float32 at least.
Tensor at_least_float32(const Tensor& tensor);

// An activation, or its gradient, as [N, C, spatial...]. ERR_LAYER_OUTPUT where the shape does not say how.
Tensor channels_first(const Tensor& tensor, const LayerShape& shape, const std::vector<int64_t>& input_size,
                      const std::string& path);

// Which dimension of what the layer returns counts the images, and which the channels. Of a custom shape nobody knows:
// methods that put zeros in channels of the layer's own output cannot be had with one.
struct LayerDims {
  int64_t images, channels;
};
LayerDims layer_dims(const LayerShape& shape);

// Of each image, over all but the batch: (map - min) / (1e-7 + max of that).
Tensor min_max(const Tensor& map);

// One map per method. `path` is for errors, `position` that of the layer among the layers, which the seed is moved by.
// `input_size`: the spatial sizes of the model's input.
std::vector<Tensor> layer_maps(const MapPlan& plan, LayerEvidence evidence, const std::string& path, size_t position,
                               const std::vector<int64_t>& input_size);

// The maps of one method, by layer, in their final form: one per layer, or one of all layers where they are aggregated.
std::vector<MethodMap> finish_maps(const MapPlan& plan, const std::vector<Tensor>& by_layer);

}  // namespace gradcam
