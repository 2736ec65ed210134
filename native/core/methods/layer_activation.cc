#include "method.h"

namespace gradcam {

// The sum over channels of what the layer returned: what any method of layers begins with.
Tensor layer_activation(const LayerEvidence& e) { return e.activation; }

}  // namespace gradcam
