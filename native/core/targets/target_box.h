#pragma once
#include "core/base/value_parts.h"

namespace gradcam {

// Detections that match given boxes: the target of object detectors, for outputs that hold boxes [K, 4] as x1, y1, x2,
// y2, labels [K] and scores [K], once for each image in a list, or of all images as [N, K, 4], [N, K] and [N, K].
struct BoxTarget {
  using Step = PartStep;

  Tensor boxes;   // double [1 or N, B, 4]: the same for all images, or for each its own
  Tensor labels;  // int64 [1 or N, 1 or B]; undefined for any
  double iou = 0.5;
  bool may_miss = false;  // a box that no detection matches adds nothing; otherwise it is ERR_TARGET
  Step boxes_part = "boxes", labels_part = "labels", scores_part = "scores";
};

struct ResolvedBoxes {
  Tensor scores;  // [N], with the graph of the output
  Tensor labels;  // int64 [N, B] on the CPU: the given ones, else of the detections, -1 where none matches; may be
                  // undefined
};

// Each image's score: the sum over its boxes of IoU + score of the detection, of the required label if there is one,
// with the greatest IoU, which must be above the threshold. As pytorch-grad-cam's FasterRCNNBoxScoreTarget, but that
// one looks at the label after it has chosen by IoU alone, and counts a missing match as zero. ERR_TARGET,
// ERR_TARGET_COUNT.
ResolvedBoxes resolve_boxes(const IValue& output, const PartPath& path, const BoxTarget& target);

}  // namespace gradcam
