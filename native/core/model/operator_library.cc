#include "operator_library.h"

#include <ATen/DynamicLibrary.h>

#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <vector>

#include "core/autograd/torchvision_gradients.h"
#include "core/base/cuda_libraries.h"
#include "core/base/error.h"
#include "core/base/shared_object.h"

namespace gradcam {

namespace {

// Wheels name it among what they need without using any of it, and nothing but a Python interpreter can load it.
const char* const kPythonLibrary = "libtorch_python.so";

// It has no code, and names the other libraries of LibTorch: of a CUDA build also those that a small one has not.
const char* const kAllLibraries = "libtorch.so";

bool is_of_cuda(const std::string& name) { return name == "libtorch_cuda.so" || name == "libc10_cuda.so"; }

std::unique_ptr<at::DynamicLibrary> open_operators(const std::string& path) {
  const auto needed = needed_libraries(path);
  const bool has_cuda = cuda_libraries().built;
  for (const auto& name : needed)
    if (is_of_cuda(name) && !has_cuda)
      throw Error("ERR_MODEL_OPERATOR",
                  "The operator library '" + path + "' cannot be loaded: it is of a CUDA build and needs LibTorch's " +
                      name + ", and this LibTorch has no CUDA libraries.",
                  Remedy{"Take the library's build for CPUs, or a CUDA build of PyTorch (set LIBTORCH to it)."});
  std::vector<std::string> left_out;
  for (const auto& name : needed) {
    if (name == kPythonLibrary) {
      left_out.push_back(name);
    } else if (const auto problem = open_libtorch_library(name); !problem.empty()) {
      if (name != kAllLibraries || has_cuda) throw std::runtime_error("it needs LibTorch's " + name + ": " + problem);
      left_out.push_back(name);
    }
  }
  if (!left_out.empty()) {
    const CopyWithout copy(path, left_out);
    if (!copy.path().empty()) return std::make_unique<at::DynamicLibrary>(copy.path().c_str());
  }
  return std::make_unique<at::DynamicLibrary>(path.c_str());
}

}  // namespace

void load_operator_library(const std::string& path) {
  // Never destroyed: operators that are registered are code of the library.
  static auto& loaded = *new std::map<std::string, std::unique_ptr<at::DynamicLibrary>>();
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  if (loaded.count(path)) return;
  if (!std::ifstream(path).good())
    throw Error("ERR_FILE_NOT_FOUND", "The operator library '" + path + "' does not exist or cannot be read.",
                Remedy{"Check its path."});
  try {
    loaded.emplace(path, open_operators(path));
    register_torchvision_gradients();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& cause) {
    throw Error("ERR_MODEL_OPERATOR", "The operator library '" + path + "' cannot be loaded: " + concise_message(cause),
                Remedy{"It must be built for LibTorch's own version."});
  }
}

}  // namespace gradcam
