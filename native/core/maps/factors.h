#pragma once
#include <string>

#include "core/base/cancel.h"
#include "core/base/ivalues.h"

namespace gradcam {

// What the activations of a layer are made of.
struct LayerFactors {
  Tensor concepts;  // [K, C]: what a position that shows the concept alone has in each channel
  Tensor maps;      // [N, K, spatial...], at least zero: how much of each concept a position shows
};

// Deep feature factorization: nonnegative factors of the activation [N, C, spatial...], less the least value of each
// channel, which is added to the concepts again. Collins et al. 2018, "Deep Feature Factorization for Concept
// Discovery", arXiv:1806.10206, with the offset that pytorch-grad-cam has. `layer`: for messages.
LayerFactors factorize(const Tensor& activation, int64_t concepts, const std::string& layer, const CancelFlag* cancel);

}  // namespace gradcam
