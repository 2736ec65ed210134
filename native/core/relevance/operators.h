#pragma once
#include <torch/csrc/autograd/function.h>

#include <string_view>

namespace gradcam {

// What relevance does at an operator.
enum class Treatment {
  none,        // no rule: refused
  copies,      // each element of the output is one of the input, or a constant: relevance goes where it came from
  shares,      // a sum with fixed coefficients: each summand gets its share of the sum, by the epsilon rule
  activation,  // a function of one element: relevance passes
  weighted,    // a convolution or a product with a weight: by the composite
  batch_norm,  // merged into a weighted layer beside it; otherwise relevance passes
};

// Of the node that an operator recorded.
Treatment treatment_of(const torch::autograd::Node& node);

// Which values of an operator's call its rule needs: `name` is "add".
enum class KeptValues { none, arguments, with_result };
KeptValues keeps_values(std::string_view name);

}  // namespace gradcam
