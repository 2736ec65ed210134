#pragma once
#include <torch/csrc/autograd/function.h>
#include <torch/types.h>

#include <memory>
#include <type_traits>
#include <utility>

namespace gradcam {

// std::shared_ptr up to LibTorch 2.12 or so, c10::intrusive_ptr later.
using NodePtr = std::decay_t<decltype(std::declval<torch::Tensor>().grad_fn())>;

template <typename T, typename Pointer = NodePtr, typename... Args>
Pointer make_node(Args&&... args) {
  if constexpr (std::is_same_v<Pointer, std::shared_ptr<torch::autograd::Node>>) {
    return std::make_shared<T>(std::forward<Args>(args)...);
  } else {
    return c10::make_intrusive<T>(std::forward<Args>(args)...);
  }
}

}  // namespace gradcam
