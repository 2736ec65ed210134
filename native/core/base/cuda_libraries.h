#pragma once
#include <string>

namespace gradcam {

// What became of LibTorch's CUDA libraries in this process.
struct CudaLibraries {
  bool built = false;   // this LibTorch has them: it is a CUDA build
  bool loaded = false;  // they are in use
  std::string problem;  // why they are not, where there is a driver for them; else empty
};

// Loads LibTorch's CUDA libraries where they lie beside its CPU libraries and this machine has an NVIDIA driver, at the
// first call; they register their kernels by themselves. The addon is not linked with them: without a driver they would
// only cost time at the start, and a LibTorch that lacks what they need (cuDNN and others, over 2 GB) works on the CPU.
const CudaLibraries& cuda_libraries();

// Loads one of LibTorch's libraries, by its file name, for another library that needs it: its CUDA libraries where
// there is no driver, too. Why it cannot be loaded; empty where it is, or where LibTorch has none of that name.
std::string open_libtorch_library(const std::string& name);

}  // namespace gradcam
