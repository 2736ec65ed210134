#pragma once
#include <torch/script.h>

#include <optional>
#include <string>
#include <vector>

#include "core/base/value_parts.h"
#include "target_box.h"

namespace gradcam {

// What is made of one dimension of an output, after that of the images.
struct ElementStep {
  enum class Kind { index, sum, mean, max } kind = Kind::index;
  int64_t index = 0;  // from the end where it is negative
};

// What a backward pass explains, as plain data: a tensor of the output, a class of each image, and what to make of it.
struct Target {
  enum class Kind {
    top_class,  // the class with the highest logit, per image; the value itself where the model has one output
    classes,    // one class for all images, or one per image
  };
  enum class Score {
    logit,        // y_t
    probability,  // softmax(y)_t
    difference,   // y_t - y_d
    finer,        // Finer-CAM's, see finer_scores
    mask,         // the sum of y_t over the pixels of a mask, for outputs [N, C, H, W]
    box,          // of detections that match boxes, see BoxTarget
    element,      // an element of each image, or what is made of several: see `element`
  };
  Kind kind = Kind::top_class;
  std::vector<int64_t> classes;
  Score score = Score::logit;
  double sign = 1;               // -1 explains what lowers the score
  PartPath path;                 // to the tensor, through tuples, lists and dicts
  int64_t image_dim = 0;         // the dimension of that tensor that counts the images: 1 for [T, N, C]
  std::vector<int64_t> against;  // difference: like classes; finer: the classes to compare with
  int64_t nearest = 3;           // finer, where there are none: how many of the nearest
  double alpha = 1;              // finer
  Tensor mask;                   // [H, W] for all images, or [N, H, W]
  Tensor compared;               // finer: [N, K], the classes to compare each image's with
  BoxTarget box;
  std::vector<ElementStep> element;  // of each dimension after the first; the sum of those that are left out
  // The class that is explained where nothing is said: its output may be of any shape if no method needs a score.
  bool is_default() const { return kind == Kind::top_class && score == Score::logit && path.empty(); }
};

struct ResolvedTarget {
  std::vector<int64_t> classes;  // one per image; of boxes the label of the first; -1 of elements
  Tensor scores;                 // [N], with the graph of the output
  Tensor compared;               // finer: [N, K]
  Tensor labels;                 // boxes: [N, B]
  PartPath path;                 // to the part that was chosen, where the target names none
};

// Each image's score. Where the output is not a tensor and the target has no path, it is the likely_part. Logits are
// [N, C], or [N] for a model with a single output; for one image they may be [C]. All that is said of dimensions is
// said after `image_dim` became the first. `images`: N, where it is known. ERR_TARGET, ERR_TARGET_COUNT,
// ERR_TARGET_OUT_OF_RANGE; ERR_BATCH_SIZE for several images that do not have one row each.
ResolvedTarget resolve_target(const IValue& output, const Target& target, std::optional<int64_t> images = {});

// Throws where something of a model, e.g. "The model", returned another number of rows than there are images:
// ERR_BATCH_SIZE for several images, `code` for one. `remedy` says what to do for one, `or_else` what may help for any
// number.
void require_rows(int64_t rows, std::optional<int64_t> images, const std::string& what, const std::string& code,
                  const std::string& remedy, const std::string& or_else = {});

// The target of copies of images, by the number of each one's image. Copies keep their image's class even if the model
// would predict another one for them.
Target target_of_copies(const Target& target, const ResolvedTarget& resolved, const std::vector<int64_t>& images);

// The target of some images of a batch of `count`, each by its number. What is said of all images alike stays as it is.
// ERR_TARGET_COUNT where something is said of another number of images.
Target target_of_images(const Target& target, int64_t count, const std::vector<int64_t>& images);

}  // namespace gradcam
