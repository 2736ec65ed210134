#include "model_file.h"

#include <algorithm>
#include <caffe2/serialize/inline_container.h>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>

#include "core/base/error.h"

namespace gradcam {

namespace {

const char* const kExport =
    "Export it once in Python: `model.eval(); torch.jit.script(model).save('model.pt')`, or torch.jit.trace(model, "
    "example_input) where scripting does not accept the model.";

std::string named(const ModelSource& source) { return source.path.empty() ? "The buffer" : "'" + source.path + "'"; }

std::unique_ptr<std::istream> open(const ModelSource& source) {
  if (source.path.empty()) return std::make_unique<std::istringstream>(source.bytes);
  errno = 0;
  auto file = std::make_unique<std::ifstream>(source.path, std::ios::binary);
  char first = 0;
  if (*file && !file->read(&first, 1) && errno == EISDIR)  // a folder opens, and fails at the first read
    throw Error("ERR_FILE_UNREADABLE", named(source) + " is a folder. Give the path of a TorchScript file (.pt).");
  if (file->is_open()) {
    file->clear();
    file->seekg(0);
    return file;
  }
  if (errno == ENOENT || errno == ENOTDIR)
    throw Error("ERR_FILE_NOT_FOUND", named(source) +
                                          " does not exist. Check the path; a relative one starts at the "
                                          "working directory of the process.");
  throw Error("ERR_FILE_UNREADABLE", named(source) + " cannot be opened: " + std::strerror(errno) + ".");
}

// The class that a pickle builds first, as "module name", e.g. "collections OrderedDict"; none for plain containers.
std::optional<std::string> first_global(const std::string& pickle) {
  // Pickle protocol 2: PROTO 2 bytes, then for an instance GLOBAL ('c') module '\n' name '\n'. Before it there may be a
  // MARK, and, in torch.save's old format, the text "module" (BINUNICODE, 4 bytes of length) with its memo (BINPUT).
  for (size_t at = 2; at < pickle.size();) {
    if (pickle[at] == '(') {
      at += 1;
      continue;
    }
    if (pickle[at] == 'q') {
      at += 2;
      continue;
    }
    if (pickle[at] == 'X') {
      at += 5 + static_cast<unsigned char>(pickle[std::min(at + 1, pickle.size() - 1)]);
      continue;
    }
    if (pickle[at] != 'c') return std::nullopt;
    const auto module_end = pickle.find('\n', at);
    const auto name_end = module_end == std::string::npos ? module_end : pickle.find('\n', module_end + 1);
    if (name_end == std::string::npos) return std::nullopt;
    return pickle.substr(at + 1, module_end - at - 1) + " " + pickle.substr(module_end + 1, name_end - module_end - 1);
  }
  return std::nullopt;
}

[[noreturn]] void throw_for_pickle(const ModelSource& source, const std::string& pickle) {
  const auto global = first_global(pickle);
  if (!global || *global == "collections OrderedDict" || *global == "torch._utils _rebuild_tensor_v2")
    throw Error("ERR_MODEL_IS_STATE_DICT",
                named(source) +
                    " holds weights alone (a state_dict or a checkpoint), without the model that uses them. "
                    "Build the model in Python and load them with load_state_dict. " +
                    kExport);
  throw Error("ERR_MODEL_IS_EAGER_PICKLE", named(source) + " is a pickled Python object (" + *global +
                                               "), which needs its Python code to be run. " + kExport);
}

std::string record_text(caffe2::serialize::PyTorchStreamReader& reader, const std::string& name) {
  const auto [data, size] = reader.getRecord(name);
  return {static_cast<const char*>(data.get()), std::min<size_t>(size, 4096)};
}

// Called when LibTorch could not read the file. Says what the file is, as far as its first bytes and records tell.
[[noreturn]] void throw_diagnosis(const ModelSource& source, const std::exception& cause) {
  const auto stream = open(source);
  std::string head(64, '\0');
  stream->read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<size_t>(stream->gcount()));
  const auto starts_with = [&](const std::string& prefix) { return head.starts_with(prefix); };

  if (head.empty()) throw Error("ERR_MODEL_CORRUPT", named(source) + " is empty. Copy or export the model again.");
  if (starts_with("\x80\x02\x8a\x0a")) {  // the magic number of torch.save before 1.6
    std::string all(4096, '\0');
    stream->clear();
    stream->seekg(0);
    stream->read(all.data(), static_cast<std::streamsize>(all.size()));
    // Magic, version and system information are pickles of their own; the object comes after the third STOP.
    size_t at = 0;
    for (int stops = 0; stops < 3 && at != std::string::npos; ++stops) at = all.find("\x2e\x80\x02", at + 1);
    throw_for_pickle(source, at == std::string::npos ? std::string() : all.substr(at + 1));
  }
  if (!starts_with("PK")) {
    std::string guess;
    if (head.size() > 9 && head[8] == '{')
      guess = " It looks like safetensors, which holds weights alone.";
    else if (static_cast<unsigned char>(head[0]) == 0x08 && head.find("pytorch") != std::string::npos)
      guess = " It looks like ONNX.";
    else if (starts_with("version https://git-lfs"))
      guess = " It is a Git LFS pointer, which stands for a file that was not downloaded: run `git lfs pull`.";
    else if (starts_with("\x89HDF"))
      guess = " It looks like HDF5 (Keras).";
    throw Error("ERR_MODEL_NOT_TORCHSCRIPT", named(source) + " is not a TorchScript file." + guess + " " + kExport);
  }
  try {
    stream->clear();
    stream->seekg(0);
    caffe2::serialize::PyTorchStreamReader reader(stream.get());
    bool exported = false;
    for (const auto& name : reader.getAllRecords())
      exported |= name.starts_with("models/") || name.find("serialized_exported_program") != std::string::npos ||
                  name == "archive_format";
    if (exported)
      throw Error("ERR_MODEL_IS_EXPORTED_PROGRAM",
                  named(source) + " is a torch.export program (.pt2), which has no gradients in C++. " + kExport);
    if (!reader.hasRecord("constants.pkl") && reader.hasRecord("data.pkl"))
      throw_for_pickle(source, record_text(reader, "data.pkl"));
    if (!reader.hasRecord("data.pkl"))
      throw Error("ERR_MODEL_NOT_TORCHSCRIPT",
                  named(source) + " is a zip archive, but holds no TorchScript model. " + kExport);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& unreadable) {
    if (std::string(unreadable.what()).find("not in a subdirectory") != std::string::npos)
      throw Error("ERR_MODEL_NOT_TORCHSCRIPT",
                  named(source) + " is a zip archive, but holds no TorchScript model. " + kExport);
    // Not readable as an archive at all: a .pt2 of torch.export has its folder names elsewhere, all else is damage.
  }
  // PyTorch writes such a file without the tensors in MKLDNN's layout, and cannot read it either.
  if (std::string(cause.what()).find("required keyword attribute 'value' is undefined") != std::string::npos)
    throw Error("ERR_MODEL_FROZEN",
                named(source) +
                    " was saved after torch.jit.optimize_for_inference, which leaves weights out of the file. "
                    "Save it without: torch.jit.script(model.eval()).save(...).");
  throw Error("ERR_MODEL_CORRUPT",
              named(source) + " cannot be read as a TorchScript file: " + concise_message(cause) +
                  " It is incomplete or damaged, or was written by a newer PyTorch: copy or export "
                  "it again.");
}

}  // namespace

torch::jit::Module read_torchscript(const ModelSource& source, at::Device device) {
  const auto stream = open(source);
  try {
    auto module = torch::jit::load(*stream, device);
    if (!module.find_method("forward"))
      throw Error("ERR_MODEL_NO_FORWARD",
                  named(source) +
                      " is a TorchScript file, but its module has no method `forward` to run. Export the module "
                      "that has one.");
    return module;
  } catch (const Error&) {
    throw;
  } catch (const std::exception& cause) {
    if (is_out_of_memory(cause)) throw;
    throw_diagnosis(source, cause);
  }
}

}  // namespace gradcam
