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

std::filesystem::path cuda_library() { return libtorch_folder() / "libtorch_cuda.so"; }

// Why it cannot be loaded; empty where it is.
std::string open_cuda_library() {
  if (dlopen(cuda_library().c_str(), RTLD_LAZY | RTLD_GLOBAL | RTLD_NODELETE)) return {};
  const auto* reason = dlerror();
  return reason ? reason : "the system refuses it";
}

CudaLibraries load() {
  CudaLibraries found;
  std::error_code ignored;
  found.built = std::filesystem::exists(cuda_library(), ignored);
  if (!found.built || !has_driver()) return found;
  found.problem = open_cuda_library();
  found.loaded = found.problem.empty();
  return found;
}

}  // namespace

const CudaLibraries& cuda_libraries() {
  static const CudaLibraries found = load();
  return found;
}

std::string require_cuda_libraries() { return cuda_libraries().loaded ? std::string() : open_cuda_library(); }
#else
// Elsewhere there is no CUDA build that this package has been tried with.
const CudaLibraries& cuda_libraries() {
  static const CudaLibraries none;
  return none;
}

std::string require_cuda_libraries() { return {}; }
#endif

}  // namespace gradcam
