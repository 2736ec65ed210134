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

// Loads libtorch.so, to which libraries of operators are linked, with the parts that this package does without: those
// for CUDA, where it is such a build. False where it cannot be loaded.
bool load_all_of_libtorch();

}  // namespace gradcam
