// How a pass runs, and the reason that is given where several hold.
#include "core/pass/execution.h"

#include <torch/script.h>

#include <limits>
#include <sstream>

#include "check.h"
#include "core/base/error.h"
#include "core/methods/method.h"
#include "core/model/readers.h"

namespace gradcam::test {

namespace {

std::shared_ptr<Model> small_model() {
  torch::jit::Module layer("Layer"), root("Net");
  layer.define("def forward(self, x):\n    return torch.relu(x)\n");
  root.register_module("layer", layer);
  root.register_module("twice", layer.clone());
  root.define(
      "def forward(self, x):\n    return self.twice.forward(self.twice.forward(self.layer.forward(x * "
      "2.0))).flatten(1)\n");
  std::ostringstream bytes;
  root.save(bytes);
  return open_model(ModelSource{{}, bytes.str()}, {});
}

PassPlan plan_of(Goal goal, Execution execution = Execution::automatic) { return {std::move(goal), execution, {}}; }

LayerMaps maps_of(const std::string& layer, const std::string& method) {
  LayerMaps goal;
  goal.layers = {layer};
  goal.maps.methods = {&layer_method(method)};
  return goal;
}

struct Chosen {
  explicit Chosen(const PassPlan& plan, double value = 1, bool hooks = false) {
    const auto model = small_model();
    if (hooks) model->hooks().add(model->module_at("layer"), ForwardHook([](const auto&...) { return std::nullopt; }));
    const std::vector<IValue> inputs{at::full({1, 1, 2, 2}, value), at::zeros({1, 1, 2, 2})};
    rerun = why_rerun_hooked(plan, *model, inputs);
    const auto choice = choose_execution(plan, *model, inputs);
    split = choice.split != nullptr;
    why = choice.why_hooked;
  }
  bool split;
  std::string why, rerun;
};

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

}  // namespace

TEST_CASE("execution: split where nothing speaks against it") {
  for (const auto& plan :
       {plan_of(maps_of("layer", "gradcam")), plan_of(maps_of("layer", "eigencam"), Execution::split),
        plan_of(ScoresOnly{}), plan_of(InputGradient{}, Execution::split), plan_of(GuidedGradient{}, Execution::split),
        plan_of(maps_of("layer", "xgradcam"), Execution::split)}) {
    const Chosen chosen(plan);
    EXPECT(chosen.split);
    EXPECT_EQUAL(chosen.why, "");
    EXPECT_EQUAL(chosen.rerun, "");
  }
}

TEST_CASE("execution: each reason for a hooked run") {
  EXPECT_EQUAL(Chosen(plan_of(ScoresOnly{}, Execution::hooked)).why, "it was requested");
  EXPECT_EQUAL(Chosen(plan_of(FullGradient{{"layer"}})).why, "FullGrad captures every layer that has a bias");
  EXPECT_EQUAL(Chosen(plan_of(RescaledGradient{at::zeros(1)})).why, "DeepLIFT compares every operator of two runs");
  EXPECT_EQUAL(Chosen(plan_of(Relevance{})).why, "rules of relevance are for the model's own operators");
  EXPECT_EQUAL(Chosen(plan_of(InputGradient{})).why,
               "input gradients are sensitive to rounding at ReLUs: no convolution has a kernel here that rounds as "
               "LibTorch's does");
  PassPlan second = plan_of(InputGradient{});
  second.input = 1;
  EXPECT_EQUAL(Chosen(second).why, "the images are not the model's first input");
  EXPECT_EQUAL(Chosen(plan_of(maps_of("layer", "xgradcam"))).why, "xgradcam amplifies rounding errors");
  EXPECT_EQUAL(Chosen(plan_of(maps_of("layer", "gradcam")), 1, /*hooks=*/true).why,
               "hooks are registered on the model");
  EXPECT_EQUAL(Chosen(plan_of(maps_of("twice", "gradcam"))).why, "the model's code calls layer 'twice' in 2 places");
  const auto not_finite = Chosen(plan_of(maps_of("layer", "gradcam")), kNan).why;
  EXPECT_EQUAL(not_finite, "the input contains NaN or infinity, which the split model's operators would hide");
}

TEST_CASE("execution: the first reason of the table is given where several hold") {
  EXPECT_EQUAL(Chosen(plan_of(FullGradient{{"layer"}}, Execution::hooked), kNan, true).why, "it was requested");
  EXPECT_EQUAL(Chosen(plan_of(FullGradient{{"layer"}}), kNan, true).why.substr(0, 22), "the input contains NaN");
  EXPECT_EQUAL(Chosen(plan_of(FullGradient{{"layer"}}), 1, true).why.substr(0, 8), "FullGrad");
  EXPECT_EQUAL(Chosen(plan_of(maps_of("layer", "xgradcam")), 1, true).why, "xgradcam amplifies rounding errors");
}

TEST_CASE("execution: runs of methods that run the model again have fewer reasons") {
  EXPECT_EQUAL(Chosen(plan_of(maps_of("layer", "xgradcam"))).rerun, "");
  EXPECT_EQUAL(Chosen(plan_of(maps_of("layer", "xgradcam")), 1, true).rerun, "hooks are registered on the model");
  EXPECT_EQUAL(Chosen(plan_of(maps_of("layer", "xgradcam"), Execution::hooked)).rerun, "it was requested");
}

TEST_CASE("execution: a plan that requires a split is refused with the reason") {
  const GuidedGradient modules{ReluScope::modules, ReluRule::guided};
  EXPECT_THROWS(Error, Chosen(plan_of(modules, Execution::split)), "sensitive to rounding at ReLUs: no convolution");
  EXPECT_THROWS(Error, Chosen(plan_of(maps_of("layer", "gradcam"), Execution::split), kNan), "contains NaN");
  EXPECT_THROWS(Error, Chosen(plan_of(maps_of("twice", "gradcam"), Execution::split)), "in 2 places");
  PassPlan reduced = plan_of(maps_of("layer", "xgradcam"));
  reduced.head_dtype = at::kBFloat16;
  EXPECT(Chosen(reduced).split);
  EXPECT_THROWS(Error, Chosen(reduced, 1, /*hooks=*/true), "hooks are registered");
}

}  // namespace gradcam::test
