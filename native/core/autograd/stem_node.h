#pragma once
#include "autograd_node.h"

namespace gradcam {

// For the node of a convolution of few channels with a stride, on the CPU in float32, as images enter most nets by: one
// that makes the gradient at its input alone, up to rounding, in half to a third of the time. None for any other node.
//
// The gradient at every s-th position of the input is a convolution of the gradient with every s-th tap of the kernel,
// mirrored. All s x s of them are one convolution with a stride of 1, whose channels are then laid out as positions
// (Shi et al. 2016, "Is the deconvolution layer the same as a convolutional layer?", arXiv:1609.07009).
NodePtr stem_node(const NodePtr& node);

}  // namespace gradcam
