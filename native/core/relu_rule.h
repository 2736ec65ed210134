#pragma once
#include <string>
#include <vector>

#include "ivalues.h"

namespace gradcam {

// What goes on downwards from a ReLU with input x whose output has the gradient g. A hook on the node that recorded it
// changes what ReLU's own backward says; ReLU6 is taken for a ReLU, its own mask being 1[0 < x < 6].
enum class ReluRule {
  guided,     // g * 1[x > 0] * 1[g > 0]: Springenberg et al. 2015, "Striving for Simplicity", arXiv:1412.6806
  deconvnet,  // g * 1[g > 0]: Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks", arXiv:1311.2901
};

// Puts the rule on the node that recorded `output`, where that node is a ReLU's. True when it did.
bool rule_relu(const Tensor& output, ReluRule rule);

struct RuledRelus {
  int count = 0;
  std::string other;  // an activation in the graph that is no ReLU, for which there is no rule; empty where there is none
};

// Puts the rule on every ReLU of the graph behind `outputs`, module or functional, in place or not.
RuledRelus rule_all_relus(const std::vector<Tensor>& outputs, ReluRule rule);

}  // namespace gradcam
