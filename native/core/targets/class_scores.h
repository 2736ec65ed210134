#pragma once
#include <cstdint>
#include <vector>

#include "target.h"

namespace gradcam {

// The class of each image, of one class for all images or one per image, all of them among `count`. ERR_TARGET_COUNT,
// ERR_TARGET_OUT_OF_RANGE.
std::vector<int64_t> class_of_each_image(const std::vector<int64_t>& given, int64_t images, int64_t count);

// table[n, classes[n]], or whatever follows the first two dimensions there.
Tensor pick_classes(const Tensor& table, const std::vector<int64_t>& classes);

// Finer-CAM: sum_c p_c (y_t - alpha y_c) / (sum_c p_c + 1e-9) over a few classes c that are similar to t, p =
// softmax(y). Zhang et al. 2025, "Finer-CAM: Spotting the Difference Reveals Finer Details for Visual Explanation",
// arXiv:2501.11309, equation 6, with pytorch-grad-cam's weights and epsilon; as there, the gradient also goes through
// p. Of those nearest to y_t by |y_c - y_t|, the lower number comes first where two are equally near.
Tensor finer_scores(const Tensor& table, const std::vector<int64_t>& classes, const Tensor& compared, double alpha);

// Which classes c those are: [N, K].
Tensor compared_classes(const Tensor& table, const std::vector<int64_t>& classes, const Target& target);

// The sum of a class over the pixels of a mask, [H, W] or [N, H, W]. ERR_TARGET for one of another size.
Tensor masked_scores(const Tensor& output, const std::vector<int64_t>& classes, const Tensor& given);

// The step of each dimension after the first: an element, or the sum, mean or greatest of all. What has no step is
// added up.
Tensor element_scores(const Tensor& output, const std::vector<ElementStep>& steps);

}  // namespace gradcam
