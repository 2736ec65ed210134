#pragma once

namespace gradcam {

// Gives torchvision's operators their derivatives where its library has registered none: torchvision 0.28 and later do
// that in Python, by operators of the library for the backward. Does nothing where the library is not loaded. Not to be
// called by two threads at once.
void register_torchvision_gradients();

}  // namespace gradcam
