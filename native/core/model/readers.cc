#include "readers.h"

#include <torch/script.h>

#include <algorithm>
#include <array>

#include "core/base/error.h"
#include "module_builder.h"

namespace gradcam {

namespace {

const char* const kExport =
    "Export it once in Python: `model.eval(); torch.export.save(torch.export.export(model, (x,)), 'model.pt2')`, or "
    "torch.jit.script(model).save('model.pt') where its control flow depends on data.";

using Loaded = std::shared_ptr<Model>;

[[noreturn]] void refuse_as_not_torchscript(const ModelFile& file, const std::string& guess) {
  throw Error("ERR_MODEL_NOT_TORCHSCRIPT",
              file.name() + " is not a TorchScript file." + (guess.empty() ? "" : " ") + guess, Remedy{kExport});
}

// TorchScript ---------------------------------------------------------------------------------------------------------

bool is_torchscript(const ModelFile& file) {
  // A damaged archive, whose records do not show, may be one.
  return file.is_zip() && !file.is_foreign_zip() &&
         (!file.records() || file.has_record("constants.pkl") || file.has_record("model.json"));
}

const char* const kExportBefore = "Export the model before that: torch.jit.script(model.eval()).save(...).";

// The name after `start` in a text, e.g. "torchvision::nms"; empty where it is not in it.
std::string name_after(const std::string& text, const std::string& start) {
  const auto at = text.find(start);
  if (at == std::string::npos) return {};
  const auto from = at + start.size();
  const auto end = text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:.", from);
  auto name = text.substr(from, end == std::string::npos ? end : end - from);
  while (!name.empty() && (name.back() == '.' || name.back() == ':')) name.pop_back();
  return name;
}

void refuse_missing_operator(const ModelFile& file, const std::string& text) {
  const auto name = name_after(text, "Unknown builtin op: ");
  if (name.empty()) return;
  if (name.starts_with("prepacked::") || name.starts_with("vulkan") || name.starts_with("metal"))
    throw Error("ERR_MODEL_OPERATOR",
                file.name() + " was optimised for mobile: it uses the operator " + name +
                    ", which this LibTorch does not have, and which has no gradient.",
                Remedy{kExportBefore}, {{"operator", name}});
  throw Error("ERR_MODEL_OPERATOR",
              file.name() + " uses the operator " + name +
                  ", which this LibTorch does not have: it belongs to a library, " +
                  "or to a PyTorch of another version.",
              Remedy{"Load the library that registers it (`libraries`), e.g. torchvision's for torchvision::nms."},
              {{"operator", name}});
}

// Objects of C++ classes: "__torch__.torch.classes.tensorrt.Engine".
void refuse_missing_class(const ModelFile& file, const std::string& text) {
  const auto name = name_after(text, "__torch__.torch.classes.");
  if (name.empty()) return;
  const bool is_engine = name.starts_with("tensorrt");
  const bool is_mobile = name.starts_with("xnnpack") || name.starts_with("metal") || name.starts_with("vulkan");
  throw Error("ERR_MODEL_CLASS",
              file.name() + " holds an object of the class " + name + ", which this LibTorch does not have" +
                  (is_engine   ? ": it was compiled by Torch-TensorRT, whose engines have neither layers nor gradients."
                   : is_mobile ? ": it was optimised for mobile, which packs weights where they have no gradient."
                               : "."),
              Remedy{is_engine || is_mobile
                         ? kExportBefore
                         : "Load the library that registers it (`libraries`), or export the model without it."},
              {{"class", name}});
}

void refuse_newer_version(const ModelFile& file, const std::string& text) {
  if (text.find("but the maximum supported version for reading is") == std::string::npos) return;
  throw Error("ERR_MODEL_UNSUPPORTED", file.name() + " was written by a newer PyTorch: " + text,
              Remedy{"Use a newer LibTorch, or export it with an older PyTorch."});
}

// Text of the reader of archives, and not of what is in them.
bool is_about_archive(const std::string& text) {
  return text.find("PytorchStreamReader") != std::string::npos || text.find("zip archive") != std::string::npos;
}

[[noreturn]] void throw_unreadable(const ModelFile& file, const std::exception& cause) {
  const std::string text = cause.what();
  refuse_missing_operator(file, text);
  refuse_missing_class(file, text);
  refuse_newer_version(file, concise_message(cause));
  // PyTorch writes such a file without the tensors in MKLDNN's layout, and cannot read it either.
  if (std::string(cause.what()).find("required keyword attribute 'value' is undefined") != std::string::npos)
    throw Error(
        "ERR_MODEL_FROZEN",
        file.name() + " was saved after torch.jit.optimize_for_inference, which leaves weights out of the file.",
        Remedy{"Save it without: torch.jit.script(model.eval()).save(...)."});
  throw Error("ERR_MODEL_CORRUPT", file.name() + " cannot be read as a TorchScript file: " + concise_message(cause),
              Remedy{is_about_archive(text) ? "It is incomplete or damaged: copy or export it again."
                                            : "What is in it is not as this LibTorch reads it: copy or export it "
                                              "again, with a PyTorch of the same version."});
}

Loaded read_torchscript(ModelFile& file, const ModelOptions& options) {
  try {
    // Without the records of source positions, which are read when an error is described: they are not needed for that
    // here, and nothing has checked them.
    auto module = torch::jit::load(file.rewound(), options.device, /*load_debug_files=*/false);
    if (!module.find_method("forward"))
      throw Error("ERR_MODEL_NO_FORWARD",
                  file.name() + " is a TorchScript file, but its module has no method `forward` to run.",
                  Remedy{"Export the module that has one."});
    return TorchScriptModel::create(std::move(module), options);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& cause) {
    if (is_out_of_memory(cause)) throw;
    throw_unreadable(file, cause);
  }
}

// torch.export --------------------------------------------------------------------------------------------------------

bool is_exported_program(const ModelFile& file) {
  return file.has_record("archive_format") || file.has_record_like("serialized_exported_program") ||
         (file.records() && std::any_of(file.records()->begin(), file.records()->end(),
                                        [](const auto& record) { return record.starts_with("models/"); }));
}

Loaded refuse_exported_program(ModelFile& file, const ModelOptions&) {
  throw Error("ERR_MODEL_IS_EXPORTED_PROGRAM",
              file.name() + " is a torch.export program (.pt2), which has to be translated.",
              Remedy{"Load it with ScriptModule.load."});
}

// torch.save ----------------------------------------------------------------------------------------------------------

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

[[noreturn]] void refuse_unfinished_file(const ModelFile& file) {
  throw Error("ERR_MODEL_CORRUPT",
              file.name() + " was begun by PyTorch and holds no whole model: its export did not come to its end.",
              Remedy{"Export it again, and look at the error with which that ends."});
}

[[noreturn]] void refuse_pickle(const ModelFile& file, const std::string& pickle) {
  const auto global = first_global(pickle);
  // A module of TorchScript without its code, which is written last.
  if (global && global->starts_with("__torch__")) refuse_unfinished_file(file);
  if (!global || *global == "collections OrderedDict" || *global == "torch._utils _rebuild_tensor_v2")
    throw Error("ERR_MODEL_IS_STATE_DICT",
                file.name() + " holds weights alone (a state_dict or a checkpoint), without the model that uses them.",
                Remedy{"Build the model in Python and load them with load_state_dict. " + std::string(kExport)});
  throw Error("ERR_MODEL_IS_EAGER_PICKLE",
              file.name() + " is a pickled Python object (" + *global + "), which needs its Python code to be run.",
              Remedy{kExport});
}

constexpr size_t kPickleStart = 4096;  // enough for the first class

bool is_pickle(const ModelFile& file) { return file.has_record("data.pkl"); }

Loaded refuse_zipped_pickle(ModelFile& file, const ModelOptions&) {
  refuse_pickle(file, file.read_record("data.pkl", kPickleStart));
}

// What PyTorch writes around an object, without the object.
bool is_unfinished(const ModelFile& file) {
  return file.has_record("version") && file.has_record(".data/serialization_id");
}

Loaded refuse_unfinished(ModelFile& file, const ModelOptions&) { refuse_unfinished_file(file); }

// Of torch.save before PyTorch 1.6.
bool is_old_pickle(const ModelFile& file) { return file.starts_with("\x80\x02\x8a\x0a"); }

Loaded refuse_old_pickle(ModelFile& file, const ModelOptions&) {
  const auto start = file.read_start(kPickleStart);
  // Magic, version and system information are pickles of their own; the object comes after the third STOP.
  size_t at = 0;
  for (int stops = 0; stops < 3 && at != std::string::npos; ++stops) at = start.find("\x2e\x80\x02", at + 1);
  refuse_pickle(file, at == std::string::npos ? std::string() : start.substr(at + 1));
}

// Other files ---------------------------------------------------------------------------------------------------------

bool is_empty(const ModelFile& file) { return file.head().empty(); }

Loaded refuse_empty(ModelFile& file, const ModelOptions&) {
  throw Error("ERR_MODEL_CORRUPT", file.name() + " is empty.", Remedy{"Copy or export the model again."});
}

bool is_zip(const ModelFile& file) { return file.is_zip(); }

Loaded refuse_zip(ModelFile& file, const ModelOptions&) {
  throw Error("ERR_MODEL_NOT_TORCHSCRIPT", file.name() + " is a zip archive, but holds no TorchScript model.",
              Remedy{kExport});
}

bool is_safetensors(const ModelFile& file) { return file.head().size() > 9 && file.head()[8] == '{'; }

Loaded refuse_safetensors(ModelFile& file, const ModelOptions&) {
  refuse_as_not_torchscript(file, "It looks like safetensors, which holds weights alone.");
}

bool is_onnx(const ModelFile& file) {
  return file.starts_with("\x08") && file.head().find("pytorch") != std::string::npos;
}

Loaded refuse_onnx(ModelFile& file, const ModelOptions&) { refuse_as_not_torchscript(file, "It looks like ONNX."); }

bool is_lfs_pointer(const ModelFile& file) { return file.starts_with("version https://git-lfs"); }

Loaded refuse_lfs_pointer(ModelFile& file, const ModelOptions&) {
  refuse_as_not_torchscript(
      file, "It is a Git LFS pointer, which stands for a file that was not downloaded: run `git lfs pull`.");
}

bool is_hdf5(const ModelFile& file) { return file.starts_with("\x89HDF"); }

Loaded refuse_hdf5(ModelFile& file, const ModelOptions&) {
  refuse_as_not_torchscript(file, "It looks like HDF5 (Keras).");
}

bool is_anything(const ModelFile&) { return true; }

Loaded refuse_unknown(ModelFile& file, const ModelOptions&) { refuse_as_not_torchscript(file, ""); }

// What a file may be, and what is done with it. The first format whose signature matches reads the file, or refuses it.
struct ModelFormat {
  const char* name;
  bool (*matches)(const ModelFile&);
  Loaded (*read)(ModelFile&, const ModelOptions&);
};

constexpr std::array<ModelFormat, 12> kFormats = {{
    {"empty file", is_empty, refuse_empty},
    {"TorchScript", is_torchscript, read_torchscript},
    {"torch.export program", is_exported_program, refuse_exported_program},
    {"torch.save", is_pickle, refuse_zipped_pickle},
    {"unfinished file", is_unfinished, refuse_unfinished},
    {"torch.save before 1.6", is_old_pickle, refuse_old_pickle},
    {"other zip archive", is_zip, refuse_zip},
    {"safetensors", is_safetensors, refuse_safetensors},
    {"ONNX", is_onnx, refuse_onnx},
    {"Git LFS pointer", is_lfs_pointer, refuse_lfs_pointer},
    {"HDF5", is_hdf5, refuse_hdf5},
    {"unknown", is_anything, refuse_unknown},
}};

}  // namespace

std::shared_ptr<Model> open_model(const ModelSource& source, const ModelOptions& options) {
  ModelFile file(source);
  const auto format =
      std::find_if(kFormats.begin(), kFormats.end(), [&](const ModelFormat& each) { return each.matches(file); });
  return format->read(file, options);
}

std::shared_ptr<Model> build_model(const ModelPlan& plan, const ModelOptions& options) {
  return TorchScriptModel::create(build_module(plan, options.device), options, plan.contract);
}

void save_as_torchscript(const ModelPlan& plan, const std::string& path) { build_module(plan, at::kCPU).save(path); }

}  // namespace gradcam
