// Batches that a pass runs in parts, to keep the graph of fewer images at a time.
#include "core/pass/parts.h"

#include <torch/script.h>

#include <sstream>

#include "check.h"
#include "core/base/error.h"
#include "core/methods/method.h"
#include "core/model/readers.h"

namespace gradcam::test {

namespace {

namespace jit = torch::jit;

// Images are 448x448, of which two are a part.
constexpr int64_t kBatchImages = 5, kBatchSide = 448, kPartImages = 2;

jit::Module convolution(int64_t in, int64_t out) {
  jit::Module module("Convolution");
  module.register_parameter("weight", torch::randn({out, in, 3, 3}).requires_grad_(false), /*is_buffer=*/false);
  module.define("def forward(self, x):\n    return torch.tanh(torch.conv2d(x, self.weight, None, [8, 8], [1, 1]))\n");
  return module;
}

// Two convolutions, then `ending`, which makes the output of `x`.
std::shared_ptr<Model> model_that_ends(const std::string& ending) {
  torch::manual_seed(6);
  jit::Module root("Net");
  root.register_module("first", convolution(3, 4));
  root.register_module("second", convolution(4, 5));
  root.define("def forward(self, x):\n    x = self.second.forward(self.first.forward(x))\n    " + ending + "\n");
  std::ostringstream bytes;
  root.save(bytes);
  return open_model(ModelSource{{}, bytes.str()}, {});
}

// The ReLU, for guided backprop, is far from closing: rounding must not decide what is compared.
constexpr const char* kMeans = "return torch.relu(x.mean([2, 3]) + 3.0)";
constexpr const char* kTuple = "return (torch.relu(x.mean([2, 3]) + 3.0), None)";

LayerMaps layer_maps(const std::string& layer, const std::string& method) {
  LayerMaps goal;
  goal.layers = {layer};
  goal.maps.methods = {&layer_method(method)};
  return goal;
}

PassPlan pass_plan(Goal goal, Execution execution = Execution::automatic) { return {std::move(goal), execution, {}}; }

std::vector<IValue> inputs_of_test() {
  torch::manual_seed(7);
  return {torch::randn({kBatchImages, 3, kBatchSide, kBatchSide})};
}

struct GradientCase {
  const char* name;
  PassPlan plan;
};

std::vector<GradientCase> gradients() {
  auto joined = layer_maps("first", "gradcam");
  joined.maps.methods.push_back(&layer_method("layercam"));
  joined.layers.emplace_back("second");
  return {{"an early layer", pass_plan(layer_maps("first", "gradcam"))},
          {"two layers by two methods", pass_plan(joined)},
          {"the input", pass_plan(InputGradient{}, Execution::split)},
          {"the input, guided", pass_plan(GuidedGradient{}, Execution::split)}};
}

// What the batch gives when it runs at once.
Explained at_once(const Pass& pass, const std::vector<IValue>& inputs, const Target& target, IValue& output) {
  const auto whole = pass.fork();
  output = whole->forward(inputs, nullptr);
  return whole->backward(target, /*keep_graph=*/false, nullptr);
}

void expect_close(const Tensor& found, const Tensor& expected, const char* name, int line) {
  if (found.defined() != expected.defined()) fail(line, std::string(name) + ": one is not there");
  if (!found.defined()) return;
  if (found.sizes() != expected.sizes()) fail(line, std::string(name) + ": another shape");
  if (!at::allclose(found, expected.detach(), 1e-4, 1e-6)) fail(line, std::string(name) + ": other values");
}

void expect_close_values(const IValue& found, const IValue& expected, const char* name) {
  std::vector<Tensor> some, others;
  for_each_tensor(found, [&](const Tensor& t) { some.push_back(t); });
  for_each_tensor(expected, [&](const Tensor& t) { others.push_back(t); });
  EXPECT_EQUAL(some.size(), others.size());
  for (size_t i = 0; i < some.size(); ++i) expect_close(some[i], others[i], name, __LINE__);
}

}  // namespace

TEST_CASE("parts: a batch in parts has the results of the batch at once") {
  const auto cases = gradients();
  for (size_t i = 0; i < 2 * cases.size(); ++i) {
    const auto& [name, plan] = cases[i / 2];
    const Pass pass(model_that_ends(i % 2 == 0 ? kMeans : kTuple), plan);
    const auto inputs = inputs_of_test();
    Target target;
    target.kind = Target::Kind::classes;
    target.classes = {0, 4, 2, 3, 1};
    if (pass.images_at_once(inputs, target) != kPartImages)
      fail(__LINE__, std::string(name) + ": does not run in parts");
    const CancelFlag cancel;
    const auto found = explain(pass, inputs, target, cancel);
    IValue output;
    const auto expected = at_once(pass, inputs, target, output);
    expect_close_values(found.output, output, name);
    expect_close(found.explained.scores, expected.scores, name, __LINE__);
    expect_close(found.explained.input_gradient, expected.input_gradient, name, __LINE__);
    EXPECT(found.explained.classes == target.classes);
    EXPECT(found.explained.rows.has_value());
    EXPECT_EQUAL(found.explained.maps.size(), expected.maps.size());
    for (size_t m = 0; m < expected.maps.size(); ++m)
      for (size_t l = 0; l < expected.maps[m].size(); ++l)
        expect_close(found.explained.maps[m].at(l).map, expected.maps[m][l].map, name, __LINE__);
    for (size_t l = 0; l < expected.layers.size(); ++l)
      EXPECT(found.explained.layers.at(l).shape == expected.layers[l].shape);
  }
}

TEST_CASE("parts: a batch stays whole where parts would save nothing, or change the result") {
  const auto inputs = inputs_of_test();
  const auto parts = [&](const PassPlan& plan, const char* ending = kMeans, const Target& target = {}) {
    return Pass(model_that_ends(ending), plan).images_at_once(inputs, target).has_value();
  };
  const auto early = pass_plan(layer_maps("first", "gradcam"));
  EXPECT(parts(early));
  EXPECT(!parts(pass_plan(layer_maps("second", "gradcam"))));  // no convolution follows
  EXPECT(!parts(pass_plan(layer_maps("first", "eigencam"))));  // no graph
  EXPECT(!parts(pass_plan(layer_maps("first", "scorecam"))));  // runs again
  EXPECT(!parts(pass_plan(ScoresOnly{})));
  EXPECT(!parts(pass_plan(layer_maps("first", "gradcam"), Execution::hooked)));
  EXPECT(!parts(early, "return (x - x.mean([0], keepdim=True)).mean([2, 3])"));
  EXPECT(!parts(early, "return x.mean([2, 3]).softmax(0)"));
  EXPECT(!parts(early, "return x.mean([2, 3]).t()"));
  auto concepts = layer_maps("first", "gradcam");
  concepts.maps.methods.clear();
  concepts.concepts = 2;
  EXPECT(!parts(pass_plan(concepts)));
  Target turned;
  turned.image_dim = 1;
  EXPECT(!parts(early, kMeans, turned));
  // A batch that fits, and what is not a batch of images.
  const Pass pass(model_that_ends(kMeans), early);
  EXPECT(!pass.images_at_once({inputs[0].toTensor().narrow(0, 0, kPartImages)}, {}).has_value());
  EXPECT(!pass.images_at_once({inputs[0].toTensor()[0]}, {}).has_value());
  EXPECT(!pass.images_at_once({}, {}).has_value());
  EXPECT(!pass.images_at_once({IValue(3)}, {}).has_value());
}

TEST_CASE("parts: what is wrong with a target is said of the whole batch") {
  const Pass pass(model_that_ends(kMeans), pass_plan(layer_maps("first", "gradcam")));
  Target target;
  target.kind = Target::Kind::classes;
  target.classes = {0, 1, 2};
  const CancelFlag cancel;
  EXPECT_THROWS(Error, explain(pass, inputs_of_test(), target, cancel), "5 images");
  target.classes = {7};
  EXPECT_THROWS(Error, explain(pass, inputs_of_test(), target, cancel), "7");
}

}  // namespace gradcam::test
