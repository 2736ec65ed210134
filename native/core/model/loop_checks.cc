#include "loop_checks.h"

#include <torch/csrc/jit/api/function_impl.h>

#include "core/split/split_ops.h"

namespace gradcam {

void insert_loop_checks(const torch::jit::Module& module) {
  for (auto* function : module._ivalue()->compilation_unit()->get_functions()) {
    function->ensure_defined();
    if (const auto* with_graph = torch::jit::tryToGraphFunction(*function)) check_loops(*with_graph->graph());
  }
}

}  // namespace gradcam
