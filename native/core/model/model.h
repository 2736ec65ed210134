#pragma once
#include <torch/script.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/graphs/findings.h"
#include "core/graphs/first_convolution.h"
#include "core/hooks/hook_registry.h"
#include "input_contract.h"

namespace gradcam {

class SplitCache;
class SplitModel;
struct SplitPlan;

struct SubmoduleInfo {
  std::string path;        // "features.denseblock1"; empty for the model itself
  std::string type_name;   // "Conv2d"
  int64_t parameters = 0;  // elements, those of its submodules included
  bool hookable = false;   // has a forward that the model can call
  ModuleId id = nullptr;   // several paths have the same where they share a module
};

// What the format of a model allows. A single layer or method may still be refused, with a reason of its own.
struct Capabilities {
  bool hookable;        // submodules can be observed and hooked
  bool splittable;      // `split` is worth a try
  bool differentiable;  // its operators have gradients
};

// What was found in a model's code when it was loaded.
struct CodeFacts {
  std::vector<Finding> findings;
  Ending ending = Ending::other;
  std::string changes;  // the state that its runs change, for messages; empty where they change none
  std::vector<std::optional<FirstConvolution>> first_convolutions;  // by input
  std::vector<bool> index_inputs;                                   // by input: see find_index_inputs
  std::vector<std::string> devices;                                 // that the code names, other than the CPU
};

// Whether a row of a batch comes out as its image does alone.
struct RowsFound {
  bool independent = true;
  std::string why;      // where it does not: what was seen, in a sentence
  std::string layer;    // and the first layer where it was
  bool random = false;  // two runs of one image differ already
  bool alone = true;    // it runs on one image, and not only on as many as it was traced with
  bool mixed = false;   // it does not, and what it returns for an image depends on the others
  IValue one{}, two{};  // what the model returned for one image and for two, of which the shapes alone are kept
};

// A loaded model in eval mode, whose parameters require no gradients, whatever the format of its file: what passes run.
// Runs belong to one thread at a time; registering hooks and asking for layers may happen on any.
class Model {
 public:
  virtual ~Model() = default;

  // In PyTorch's order, the model itself first.
  virtual const std::vector<SubmoduleInfo>& submodules() const = 0;
  virtual Capabilities capabilities() const = 0;
  // Whether it was frozen when it was saved: its submodules are those that were restored, see restore_layers.
  virtual bool frozen() const { return false; }
  virtual at::Device device() const = 0;
  // Of its first floating-point parameter.
  virtual std::optional<at::ScalarType> dtype() const = 0;
  // Arguments of `run`, after `self`.
  virtual const c10::FunctionSchema& forward_schema() const = 0;
  // The operators that its code may call, by qualified name, each once: "aten::conv2d".
  virtual std::vector<std::string> operators() const = 0;
  // What tells it from other models, see fingerprint_of: the first call reads all parameters. Like a run, it belongs to
  // one thread at a time.
  virtual std::string fingerprint() = 0;
  virtual HookRegistry& hooks() = 0;
  // What its inputs may be. `run` and passes refuse others.
  virtual const InputContract& contract() const = 0;

  // How many images it takes at a time: by its file, or by what `take_at_once` was told.
  BatchBounds batch() const;
  // Tells it that it runs on that many images and on no other number: the code of a trace holds the number, and its
  // file does not say it. What an earlier probe found of its rows is forgotten, since it was found with another number.
  // Like a run, it belongs to one thread at a time; `batch` may be asked on any.
  void take_at_once(int64_t images);

  // One forward pass. Tensors on another device are moved to the model's, floating-point ones converted: see
  // convert_inputs. `observer` and `cancel` may be null.
  virtual IValue run(std::vector<IValue> inputs, CallObserver* observer, const CancelFlag* cancel) = 0;

  // The model cut for a plan, built by the first call and cached for the next ones: see SplitCache. It runs none of the
  // hooks. Throws CannotSplit.
  virtual std::shared_ptr<SplitModel> split(const SplitPlan& plan) = 0;
  // Remembers that the split of this plan does not run.
  virtual void give_up_split(const SplitPlan& plan, const std::string& reason) = 0;
  // Frees the splits of all other plans; false if there are none.
  virtual bool keep_only_split(const SplitPlan& plan) = 0;
  virtual const SplitCache& splits() const = 0;

  // A copy with random parameters in the modules of these paths, and in all below them; it shares the other parameters
  // with this one, which stays as it is. Must not be called while this one runs.
  virtual std::shared_ptr<Model> randomized(const std::vector<std::string>& paths, uint64_t seed) = 0;

  virtual const CodeFacts& code() const;
  // While it lives, runs work on a copy of the state that they change, and when it goes the model is as it was. Null
  // where runs change nothing.
  virtual std::shared_ptr<void> keep_state() { return nullptr; }
  // A run that leaves the model as it was.
  IValue run_and_restore(std::vector<IValue> inputs, CallObserver* observer, const CancelFlag* cancel);

  // Found by the first probe, see probe_rows.
  std::optional<RowsFound> rows;

  // The hookable module at `path`. Throws an Error, ERR_LAYER_NOT_FOUND with the paths that there are.
  ModuleId module_at(const std::string& path) const;

 private:
  std::atomic<int64_t> images_at_once_{0};  // 0: nothing was told
};

}  // namespace gradcam
