#include "convolution_weight.h"

#include <functional>
#include <numeric>
#include <utility>

namespace gradcam {

using torch::Tensor;

ConvolutionWeight::ConvolutionWeight(Tensor own)
    : sizes_(own.sizes().vec()), dtype_(own.scalar_type()), is_cpu_(own.is_cpu()), kept_(std::move(own)) {}

ConvolutionWeight::ConvolutionWeight(const ConvolutionWeight& like, std::vector<int64_t> sizes,
                                     std::function<Tensor()> make)
    : sizes_(std::move(sizes)), dtype_(like.dtype_), is_cpu_(like.is_cpu_), make_(std::move(make)) {}

ConvolutionWeight ConvolutionWeight::scaled(const Tensor& own, const Tensor& factors) {
  return {own, own.sizes().vec(), [own, factors] {
            std::vector<int64_t> each(static_cast<size_t>(own.dim()), 1);
            each[0] = factors.numel();
            return own * factors.reshape(each);
          }};
}

ConvolutionWeight ConvolutionWeight::adjoint(int64_t groups) const {
  const auto outputs = sizes_.at(0) / groups, inputs = sizes_.at(1), height = sizes_.at(2), width = sizes_.at(3);
  return {*this, {groups * inputs, outputs, height, width}, [of = *this, groups, outputs, inputs, height, width] {
            return of.make()
                .reshape({groups, outputs, inputs, height, width})
                .transpose(1, 2)
                .flip({3, 4})
                .reshape({groups * inputs, outputs, height, width});
          }};
}

int64_t ConvolutionWeight::numel() const {
  return std::accumulate(sizes_.begin(), sizes_.end(), int64_t{1}, std::multiplies<>());
}

const Tensor& ConvolutionWeight::keep() const {
  if (!kept_.defined()) kept_ = make_();
  return kept_;
}

}  // namespace gradcam
