#include "operator_library.h"

#include <ATen/DynamicLibrary.h>

#include <fstream>
#include <map>
#include <memory>
#include <mutex>

#include "core/base/error.h"

namespace gradcam {

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
    loaded.emplace(path, std::make_unique<at::DynamicLibrary>(path.c_str()));
  } catch (const std::exception& cause) {
    throw Error("ERR_MODEL_OPERATOR", "The operator library '" + path + "' cannot be loaded: " + concise_message(cause),
                Remedy{"It must be built for LibTorch's own version."});
  }
}

}  // namespace gradcam
