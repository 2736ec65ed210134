#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/cancel.h"
#include "core/base/value_parts.h"
#include "core/model/model.h"

namespace gradcam {

// How many images a batch holds, by the first dimension of its input; unknown where that is not a tensor of at least
// two dimensions.
std::optional<int64_t> image_count(const std::vector<IValue>& inputs, size_t input);

// Whether the first image of the inputs comes out alone as it does in a batch with another one: not where a model uses
// statistics of the batch, draws random numbers, or was traced for one image. Of a model that takes a fixed number of
// images, whether copies of an image come out as they do beside another one. The first call for a model finds out, by
// two small runs, and the model remembers it.
const RowsFound& probe_rows(Model& model, const std::vector<IValue>& inputs, size_t input, const CancelFlag* cancel);

// Which dimension of a part of the output counts the images: the one that was twice as large for two. Unknown where
// none was, or several.
std::optional<int64_t> image_dimension(const RowsFound& rows, const PartPath& path);

}  // namespace gradcam
