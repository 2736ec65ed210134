#pragma once
#include <cstdint>
#include <vector>

#include "core/hooks/hook_registry.h"

namespace gradcam {

// How many features the modules of a layer work on, by the sizes of their parameters.
struct FeatureSizes {
  std::vector<int64_t>
      last;  // of those whose features are the last dimension: linear layers, layer norms, recurrent nets
  std::vector<int64_t> others;  // of those whose features come after the images: convolutions, batch norms
};

// Of a layer and all modules in it.
FeatureSizes features_of(ModuleId layer);

// Whether an output of this shape has its features in its last dimension, and no other dimension can be them.
bool features_come_last(const FeatureSizes& features, at::IntArrayRef shape);

// Whether it has them after the images, and the last dimension cannot be them.
bool features_come_second(const FeatureSizes& features, at::IntArrayRef shape);

}  // namespace gradcam
