#pragma once
#include <cstddef>

namespace gradcam {

// For a process that tries something and may be ended: from now on it gets `bytes` of memory more than it has, and
// `seconds` of all processors together, writes to no file and leaves no core dump. What the system does not know is
// left out.
void limit_process(size_t bytes, size_t seconds);

}  // namespace gradcam
