#pragma once
#include <functional>
#include <vector>

#include "core/base/cancel.h"
#include "core/targets/target.h"

namespace gradcam {

// A copy of one image of a batch, changed by one channel of a layer, or by none of them.
struct Copy {
  static constexpr int64_t kNone = -1;
  int64_t image, channel = kNone;
};

using Copies = std::vector<Copy>;

std::vector<int64_t> images_of(const Copies& copies);

// Which copies have to run, and which of them gives the score of each channel.
struct CopyPlan {
  // `changes`, bool [N, C]: false where a copy for that channel would equal the copy for no channel, whose score is
  // then used.
  explicit CopyPlan(const Tensor& changes);

  Copies copies;                    // by image; the copy for no channel comes first
  std::vector<int64_t> unchanged;   // [N]: positions among the copies
  std::vector<int64_t> by_channel;  // [N * C]
};

// Runs the model on copies and returns its output.
using RunCopies = std::function<IValue(const Copies&)>;
// Runs the model on one of several versions of copies.
using RunVersion = std::function<IValue(size_t version)>;

// Computes the scores of many copies, at most `chunk` of them at a time, so that memory does not grow with the number
// of channels. Where memory runs out, or the model does not take as many images, chunks are halved.
struct CopyScorer {
  const Target& target;
  const ResolvedTarget& resolved;
  int64_t chunk;
  int64_t least;  // the model takes no fewer: a smaller chunk is filled up with copies of its last one
  const CancelFlag* cancel;
  int64_t later = 0;  // as many runs of a copy come after these, at most: for those who count

  // [copies] in float64, on the device of the output. Throws ERR_TARGET unless the output of a copy has one row.
  Tensor scores(const Copies& copies, const RunCopies& run) const;
  // The mean over so many versions of each copy. `prepare` is called for each chunk, with as many copies as run.
  Tensor mean_scores(const Copies& copies, size_t versions,
                     const std::function<RunVersion(const Copies&)>& prepare) const;

 private:
  Tensor mean_of_chunk(const Copies& some, size_t versions,
                       const std::function<RunVersion(const Copies&)>& prepare) const;
};

}  // namespace gradcam
