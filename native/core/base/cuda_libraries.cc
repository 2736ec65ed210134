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

constexpr const char* kCudaLibrary = "libtorch_cuda.so";

bool has_library(const std::string& name) {
  std::error_code ignored;
  return std::filesystem::exists(libtorch_folder() / name, ignored);
}

// Why it cannot be loaded; empty where it is.
std::string open_library(const std::string& name) {
  if (dlopen((libtorch_folder() / name).c_str(), RTLD_LAZY | RTLD_GLOBAL | RTLD_NODELETE)) return {};
  const auto* reason = dlerror();
  return reason ? reason : "the system refuses it";
}

CudaLibraries load() {
  CudaLibraries found;
  found.built = has_library(kCudaLibrary);
  if (!found.built || !has_driver()) return found;
  found.problem = open_library(kCudaLibrary);
  found.loaded = found.problem.empty();
  return found;
}

}  // namespace

const CudaLibraries& cuda_libraries() {
  static const CudaLibraries found = load();
  return found;
}

std::string open_libtorch_library(const std::string& name) {
  return has_library(name) ? open_library(name) : std::string();
}
#else
// Elsewhere there is no CUDA build that this package has been tried with.
const CudaLibraries& cuda_libraries() {
  static const CudaLibraries none;
  return none;
}

std::string open_libtorch_library(const std::string&) { return {}; }
#endif

}  // namespace gradcam
