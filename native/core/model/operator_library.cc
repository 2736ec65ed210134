#include "operator_library.h"

#include <ATen/DynamicLibrary.h>

#include <fstream>
#include <map>
#include <memory>
#include <mutex>

#include "core/base/cuda_libraries.h"
#include "core/base/error.h"
#include "core/base/stand_in_library.h"

namespace gradcam {

namespace {

// Loads what a library is linked to and the loader does not find by its name, as its message says. False for anything
// else.
bool load_missing(const std::string& message) {
  // The wheels of torchvision are linked to LibTorch's part for Python, of which they use nothing.
  if (message.find("libtorch_python.so") != std::string::npos) return load_stand_in("libtorch_python.so");
  return message.find("libtorch") != std::string::npos && load_all_of_libtorch();
}

std::unique_ptr<at::DynamicLibrary> open_library(const std::string& path) {
  for (int left = 2;; --left) {
    try {
      return std::make_unique<at::DynamicLibrary>(path.c_str());
    } catch (const std::exception& cause) {
      if (left == 0 || !load_missing(cause.what())) throw;
    }
  }
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
    loaded.emplace(path, open_library(path));
  } catch (const std::exception& cause) {
    throw Error("ERR_MODEL_OPERATOR", "The operator library '" + path + "' cannot be loaded: " + concise_message(cause),
                Remedy{"It must be built for LibTorch's own version."});
  }
}

}  // namespace gradcam
