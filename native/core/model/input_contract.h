#pragma once
#include <torch/script.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "core/base/ivalues.h"

namespace gradcam {

// What one dimension of an input may be.
struct InputSize {
  static constexpr int64_t kAny = std::numeric_limits<int64_t>::max();

  int64_t min = 0, max = kAny, multiple = 1;
  std::string symbol;  // sizes of one symbol are the same; empty where the size depends on no other
};

struct InputSpec {
  std::string name;
  bool is_tensor = true;
  std::optional<at::ScalarType> dtype;
  std::vector<InputSize> sizes;
};

// How many images a model takes at a time.
struct BatchBounds {
  int64_t min = 1, max = InputSize::kAny;
  bool allows(int64_t images) const { return images >= min && images <= max; }
};

// What a model takes, as far as its file says: torch.export fixes shapes. Empty for a file that says nothing. Inputs
// that do not fit are refused before the model runs, since its operators may not check them.
struct InputContract {
  std::vector<InputSpec> inputs;
  std::string batch_fixed_by;  // the operator that fixes the batch, where it is fixed

  BatchBounds batch() const;
};

// Floating-point tensors in the type of a model's parameters, where the contract says nothing else: what Python writes
// as `model(x.to(dtype))`.
void convert_inputs(const InputContract& contract, std::optional<at::ScalarType> dtype, std::vector<IValue>& inputs);

// Throws an Error, ERR_SHAPE or ERR_DTYPE, with the input, what was given, what the file takes and how to export it.
void check_inputs(const InputContract& contract, const std::vector<IValue>& inputs);

}  // namespace gradcam
