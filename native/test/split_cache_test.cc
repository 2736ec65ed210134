// What a model keeps of its splits, and that a copy of a module leaves nothing behind.
#include "core/split/split_cache.h"

#include <torch/csrc/jit/passes/freeze_module.h>
#include <torch/script.h>

#include "check.h"
#include "core/hooks/module_copy.h"
#include "core/split/split_graph.h"

namespace gradcam::test {

namespace jit = torch::jit;

namespace {

// x * weight + offset, where the offset is a buffer.
jit::Module scaled_module() {
  jit::Module module("Scaled");
  module.register_attribute("training", c10::BoolType::get(), false);
  module.register_parameter("weight", torch::tensor({3.}).requires_grad_(false), /*is_buffer=*/false);
  module.register_buffer("offset", torch::tensor({1.}));
  module.define("def forward(self, x):\n    return x * self.weight + self.offset\n");
  return module;
}

jit::Module copy_of(const jit::Module& module, CopiedState state) {
  return copy_module(module, [](jit::Function* function) { return function; }, state);
}

std::shared_ptr<SplitModel> whole_split(const jit::Module& module) {
  return SplitModel::build(copy_of(module, CopiedState::shared), {});
}

SplitPlan plan_of(size_t number) { return {{"layer" + std::to_string(number)}, false, {}}; }

}  // namespace

TEST_CASE("split cache: refusals are remembered, and no more than a bounded number") {
  SplitCache cache(SplitCache::kMaxBytes);
  size_t builds = 0;
  const auto refused = [&](size_t number) {
    const auto build = [&]() -> std::shared_ptr<SplitModel> {
      ++builds;
      throw CannotSplit("reason " + std::to_string(number));
    };
    EXPECT_THROWS(CannotSplit, cache.find_or_build(plan_of(number), build), "reason " + std::to_string(number));
  };
  for (size_t i = 0; i < SplitCache::kMaxRefusals; ++i) refused(i);
  for (size_t i = 0; i < SplitCache::kMaxRefusals; ++i) refused(i);
  EXPECT_EQUAL(builds, SplitCache::kMaxRefusals);
  refused(SplitCache::kMaxRefusals);
  refused(1);  // still known
  EXPECT_EQUAL(builds, SplitCache::kMaxRefusals + 1);
  refused(0);  // forgotten
  EXPECT_EQUAL(builds, SplitCache::kMaxRefusals + 2);
}

TEST_CASE("split cache: a split that turned out not to run goes, and its reason stays") {
  const auto module = scaled_module();
  SplitCache cache(SplitCache::kMaxBytes);
  const std::weak_ptr<SplitModel> split = cache.find_or_build({}, [&] { return whole_split(module); });
  EXPECT(!split.expired());
  cache.give_up({}, "the first reason");
  cache.give_up({}, "the second reason");
  EXPECT(split.expired());
  EXPECT_EQUAL(cache.counts().kept, size_t{0});
  EXPECT_EQUAL(cache.counts().bytes, size_t{0});
  EXPECT_THROWS(CannotSplit, cache.find_or_build({}, [&] { return whole_split(module); }), "the second reason");
}

TEST_CASE("split cache: a split that it has let go lives as long as somebody holds it") {
  const auto module = scaled_module();
  SplitCache cache(SplitCache::kMaxBytes);
  const auto build = [&] { return whole_split(module); };
  auto held = cache.find_or_build(plan_of(0), build);
  const std::weak_ptr<SplitModel> first = held;
  const std::weak_ptr<SplitModel> second = cache.find_or_build(plan_of(1), build);
  for (size_t i = 2; i < SplitCache::kMaxSplits + 2; ++i) cache.find_or_build(plan_of(i), build);
  EXPECT_EQUAL(cache.counts().kept, SplitCache::kMaxSplits);
  EXPECT_EQUAL(cache.counts().built, SplitCache::kMaxSplits + 2);
  EXPECT(second.expired());
  const auto output = held->run_head({torch::tensor({2.})}, nullptr).values.front().toTensor();
  EXPECT_EQUAL(output.item<double>(), 7);
  held.reset();
  EXPECT(first.expired());
}

TEST_CASE("split cache: where memory is short, all splits but one go") {
  const auto module = scaled_module();
  SplitCache cache(SplitCache::kMaxBytes);
  const auto build = [&] { return whole_split(module); };
  const std::weak_ptr<SplitModel> first = cache.find_or_build(plan_of(0), build);
  EXPECT(!cache.keep_only(plan_of(0)));
  const std::weak_ptr<SplitModel> second = cache.find_or_build(plan_of(1), build);
  EXPECT(cache.keep_only(plan_of(1)));
  EXPECT(first.expired());
  EXPECT(!second.expired());
  EXPECT_EQUAL(cache.counts().kept, size_t{1});
  EXPECT_EQUAL(cache.counts().bytes, second.lock()->own_bytes());
}

TEST_CASE("module copy: it has a compilation unit of its own, which goes with it") {
  const auto module = scaled_module();
  const auto unit = module._ivalue()->compilation_unit();
  const auto functions = unit->get_functions().size();
  std::weak_ptr<jit::CompilationUnit> copied_unit;
  {
    const auto copy = copy_of(module, CopiedState::shared);
    copied_unit = copy._ivalue()->compilation_unit();
    EXPECT(copied_unit.lock() != unit);
    auto frozen = jit::freeze_module(copy);
    EXPECT_EQUAL(frozen.forward({torch::tensor({2.})}).toTensor().item<double>(), 7);
  }
  EXPECT(copied_unit.expired());
  EXPECT_EQUAL(unit->get_functions().size(), functions);
}

TEST_CASE("module copy: parameters are shared, and the state where it is to be") {
  auto module = scaled_module();
  auto shared = copy_of(module, CopiedState::shared), own = copy_of(module, CopiedState::own);
  EXPECT(shared.attr("weight").toTensor().is_same(module.attr("weight").toTensor()));
  EXPECT(own.attr("weight").toTensor().is_same(module.attr("weight").toTensor()));
  EXPECT(shared.attr("offset").toTensor().is_same(module.attr("offset").toTensor()));
  EXPECT(!own.attr("offset").toTensor().is_alias_of(module.attr("offset").toTensor()));
  module.attr("offset").toTensor().fill_(5);
  EXPECT_EQUAL(shared.forward({torch::tensor({2.})}).toTensor().item<double>(), 11);
  EXPECT_EQUAL(own.forward({torch::tensor({2.})}).toTensor().item<double>(), 7);
}

}  // namespace gradcam::test
