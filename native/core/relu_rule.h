#pragma once
#include <vector>

#include "ivalues.h"

namespace gradcam {

// Guided backpropagation's rule at a ReLU: what goes on downwards is g * 1[x > 0] * 1[g > 0] (Springenberg et al. 2015,
// "Striving for Simplicity", arXiv:1412.6806). ReLU's own backward gives the first factor, a hook on its node the second.

// Puts the rule on the node that recorded `output`, where that node is a ReLU's. True when it did.
bool guide_relu(const Tensor& output);

// Puts the rule on every ReLU of the graph behind `outputs`, module or functional, in place or not. Returns how many.
int guide_all_relus(const std::vector<Tensor>& outputs);

}  // namespace gradcam
