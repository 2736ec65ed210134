#pragma once
#include <torch/script.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "input_contract.h"

namespace gradcam {

// How a nested module is built, of what lib/exported or lib/architectures made of a file. Numbers of modules, files and
// storages are positions in the plan's lists. Nothing here is trusted: build_module checks it.
struct ModelPlan {
  struct File {
    std::string path;  // UTF-8; empty where the bytes are given
    std::string bytes;
  };
  struct Storage {
    size_t file = 0;
    uint64_t position = 0, bytes = 0;
    std::optional<uint32_t> crc32;
  };
  struct ModuleEntry {
    std::string path, type;  // a qualified name
  };
  struct TensorEntry {
    size_t module = 0;
    std::string name;
    bool is_parameter = false;
    size_t storage = 0;
    at::ScalarType dtype = at::kFloat;
    std::vector<int64_t> sizes, strides;
    int64_t offset = 0;
    std::optional<at::ScalarType> converted;  // to which type, once it is read
  };
  struct Child {
    size_t module = 0;
    std::string name;
    size_t child = 0;
  };
  struct Methods {
    size_t module = 0;
    std::string text;
  };

  std::vector<File> files;
  std::vector<Storage> storages;
  std::vector<ModuleEntry> modules;  // the first is the model itself
  std::vector<TensorEntry> tensors;
  std::vector<Child> children;
  std::vector<Methods> methods;  // a module after all that it calls
  InputContract contract;
};

}  // namespace gradcam
