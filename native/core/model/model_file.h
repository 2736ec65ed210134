#pragma once
#include <torch/script.h>

#include <string>

namespace gradcam {

// Where a model comes from: a file, or the bytes of one.
struct ModelSource {
  std::string path;  // UTF-8; empty when the bytes are given
  std::string bytes;
};

// Reads a TorchScript file to `device`. A file that is something else is named for what it is, with how to export it.
torch::jit::Module read_torchscript(const ModelSource& source, at::Device device);

}  // namespace gradcam
