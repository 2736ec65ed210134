#include "cuda_libraries.h"

#include <ATen/core/Tensor.h>

#ifdef __linux__
#include <dlfcn.h>
#include <filesystem>
#endif

namespace gradcam {

#ifdef __linux__
namespace {

// The folder of the library that holds LibTorch's operators.
std::filesystem::path libtorch_folder() {
  Dl_info found{};
  const auto* symbol = reinterpret_cast<const void*>(&at::_ops::relu::call);
  if (dladdr(symbol, &found) == 0 || found.dli_fname == nullptr) return {};
  return std::filesystem::path(found.dli_fname).parent_path();
}

bool has_driver() {
  // Kept open: LibTorch opens it too, right after this.
  return dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL) != nullptr;
}

CudaLibraries load() {
  CudaLibraries found;
  std::error_code ignored;
  const auto library = libtorch_folder() / "libtorch_cuda.so";
  found.built = std::filesystem::exists(library, ignored);
  if (!found.built || !has_driver()) return found;
  found.loaded = dlopen(library.c_str(), RTLD_LAZY | RTLD_GLOBAL | RTLD_NODELETE) != nullptr;
  if (!found.loaded) {
    const auto* reason = dlerror();
    found.problem = reason ? reason : "the system refuses it";
  }
  return found;
}

}  // namespace

const CudaLibraries& cuda_libraries() {
  static const CudaLibraries found = load();
  return found;
}

bool load_all_of_libtorch() {
  static const bool loaded =
      dlopen((libtorch_folder() / "libtorch.so").c_str(), RTLD_LAZY | RTLD_GLOBAL | RTLD_NODELETE) != nullptr;
  return loaded;
}
#else
// Elsewhere there is no CUDA build that this package has been tried with.
const CudaLibraries& cuda_libraries() {
  static const CudaLibraries none;
  return none;
}

bool load_all_of_libtorch() { return false; }
#endif

}  // namespace gradcam
