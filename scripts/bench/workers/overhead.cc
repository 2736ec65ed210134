// What an explanation costs without Node: the addon's own core, called as the addon calls it, without its thread. For
// the benchmark of the crossing from TypeScript and back.
//
//   overhead MODEL.pt LAYER         answers `run COUNT` with the median time of one explanation: {"us"}
#include <ATen/Parallel.h>
#include <torch/script.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "core/methods/method.h"
#include "core/model/model_file.h"
#include "core/model/readers.h"
#include "core/pass/pass.h"

int main(int count, char** arguments) {
  if (count != 3) return 2;
  at::set_num_threads(1);
  const auto model = gradcam::open_model(gradcam::ModelSource{arguments[1], {}}, {});
  gradcam::PassPlan plan;
  gradcam::LayerMaps goal;
  goal.layers = {arguments[2]};
  goal.maps.methods = {&gradcam::layer_method("gradcam")};
  plan.goal = goal;
  const auto input = torch::ones({1, 3, 8, 8});
  gradcam::Target target;
  target.kind = gradcam::Target::Kind::classes;
  target.classes = {0};

  gradcam::Pass explainer(model, plan);  // keeps the split model

  // The first makes the split.
  const auto first = explainer.fork();
  first->forward({input}, nullptr);

  std::string line;
  while (std::getline(std::cin, line)) {
    std::istringstream words(line);
    std::string request;
    int64_t runs = 0;
    words >> request >> runs;
    std::vector<double> times;
    for (int64_t i = 0; i < runs; ++i) {
      const auto start = std::chrono::steady_clock::now();
      const auto pass = explainer.fork();
      pass->forward({input}, nullptr);
      const auto explained = pass->backward(target, /*keep_graph=*/false, /*cancel=*/nullptr);
      const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
      times.push_back(took.count());
    }
    std::nth_element(times.begin(), times.begin() + runs / 2, times.end());
    std::cout << "{\"us\":" << times[static_cast<size_t>(runs / 2)] << "}" << std::endl;
  }
}
