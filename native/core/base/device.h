#pragma once
#include <torch/script.h>

namespace gradcam {

// A copy on another device. Memory that is copied from the CPU to a GPU is pinned first, so that the copy is
// asynchronous: later work waits for it on the device, while this thread continues.
inline torch::Tensor to_device(const torch::Tensor& tensor, at::Device device) {
  const bool pinned = tensor.device().is_cpu() && device.is_cuda();
  return (pinned ? tensor.pin_memory() : tensor).to(device, tensor.scalar_type(), /*non_blocking=*/pinned);
}

}  // namespace gradcam
