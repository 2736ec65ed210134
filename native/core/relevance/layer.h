#pragma once
#include <functional>
#include <optional>
#include <vector>

#include "tape.h"

namespace gradcam {

// A layer z = x * weight + bias, where * is a convolution or a product of matrices. Batch norms that were merged into
// it are in the weight and the bias, the model's own are never changed.
struct WeightedLayer {
  Tensor x, weight;
  Tensor bias;  // undefined, or can be expanded to z; after a merge of what comes before it differs by position
  std::function<Tensor(const Tensor& x, const Tensor& weight)> apply;      // x * weight
  std::function<Tensor(const Tensor& z, const Tensor& weight)> transpose;  // back to the shape of x

  Tensor z() const { return plus(apply(x, weight), bias); }
  static Tensor plus(const Tensor& z, const Tensor& bias) { return bias.defined() ? z + bias : z; }
};

// y = scale x + shift of each channel: a batch norm with fixed statistics.
struct ChannelScale {
  Tensor scale, shift;  // [C]
};

// The layer of a recorded call; none where it is not such a layer.
std::optional<WeightedLayer> weighted_layer(const RecordedCall& call);

// The scale of a recorded batch norm; none where it computes the statistics of the batch.
std::optional<ChannelScale> channel_scale(const RecordedCall& call);

// Merges a batch norm of the layer's output into it. False where its weight has another layout.
bool merge_after(WeightedLayer& layer, const RecordedCall& call, const ChannelScale& norm);

// Merges a batch norm of the layer's input into it. `x`: the input of the batch norm, which becomes that of the layer.
bool merge_before(WeightedLayer& layer, const RecordedCall& call, const ChannelScale& norm, const Tensor& x);

}  // namespace gradcam
