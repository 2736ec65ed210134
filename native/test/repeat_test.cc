// Which rows of an intermediate value belong to which image, for running a model again on copies of images.
#include "core/rerun/repeat.h"

#include <torch/script.h>

#include "check.h"
#include "core/rerun/copies.h"
#include "core/split/split_graph.h"

namespace gradcam::test {

namespace {

const std::vector<int64_t> kImages{1, 0, 1};

// Rows 0 and 1 are those of the two images.
Tensor rows() { return torch::tensor({{1., 2., 3.}, {4., 5., 6.}}); }
const auto kExpected = [] { return torch::tensor({{4., 5., 6.}, {1., 2., 3.}, {4., 5., 6.}}); };

Tensor value_of_tensor(const Tensor& once, const Tensor& twice) { return value_of(once, twice, 2, kImages).toTensor(); }

}  // namespace

TEST_CASE("rerun: the batch is the dimension that doubles") {
  const auto first = value_of_tensor(rows(), at::cat({rows(), rows()}));
  EXPECT(at::equal(first, kExpected()));
  const auto second = value_of_tensor(rows().t(), at::cat({rows(), rows()}).t());
  EXPECT(at::equal(second, kExpected().t()));
  const auto unbatched = torch::tensor({7., 8.});
  EXPECT(at::equal(value_of_tensor(unbatched, unbatched), unbatched));
}

TEST_CASE("rerun: several rows per image stay together") {
  const auto once = at::arange(8).to(at::kDouble).view({4, 2});  // images 0, 0, 1, 1
  const auto found = value_of_tensor(once, at::cat({once, once}));
  EXPECT(at::equal(found.select(1, 0), torch::tensor({4., 6., 0., 2., 4., 6.})));
}

TEST_CASE("rerun: sizes, tuples and lists follow the number of copies") {
  EXPECT_EQUAL(value_of(10, 20, 2, kImages).toInt(), 15);
  EXPECT_EQUAL(value_of(7, 7, 2, kImages).toInt(), 7);
  const IValue once = c10::ivalue::Tuple::create({rows(), 4}),
               twice = c10::ivalue::Tuple::create({at::cat({rows(), rows()}), 8});
  const auto found = value_of(once, twice, 2, kImages).toTupleRef().elements().vec();
  EXPECT(at::equal(found[0].toTensor(), kExpected()));
  EXPECT_EQUAL(found[1].toInt(), 6);
  const auto list = value_of(c10::List<Tensor>({rows()}), c10::List<Tensor>({at::cat({rows(), rows()})}), 2, kImages);
  EXPECT(at::equal(list.toTensorVector()[0], kExpected()));
}

TEST_CASE("rerun: an ambiguous batch is refused") {
  const auto refused = [](const IValue& once, const IValue& twice) {
    EXPECT_THROWS(CannotSplit, value_of(once, twice, 2, kImages), "ambiguous");
  };
  refused(at::zeros({2, 2}), at::zeros({4, 4}));  // two dimensions double
  refused(at::zeros({2, 3}), at::zeros({6, 3}));  // three times as many
  refused(at::zeros({2}), at::zeros({4, 1}));
  refused(at::zeros({3, 2}), at::zeros({6, 2}));  // no whole number of rows per image
  refused(10, 30);
  refused(true, false);
  const auto once = at::arange(4).to(at::kDouble).view({4, 1});  // interleaved: images 0, 1, 0, 1
  refused(once, once.index_select(0, torch::tensor({0, 1, 0, 1, 2, 3, 2, 3})));
}

TEST_CASE("rerun: a copy that would change nothing is not made") {
  const CopyPlan plan(torch::tensor({{true, false}, {false, true}}));
  // Image 0 unchanged, image 0 channel 0, image 1 unchanged, image 1 channel 1.
  EXPECT_EQUAL(plan.copies.size(), 4u);
  EXPECT((plan.unchanged == std::vector<int64_t>{0, 2}));
  EXPECT((plan.by_channel == std::vector<int64_t>{1, 0, 2, 3}));
  EXPECT_EQUAL(plan.copies[3].image, 1);
  EXPECT_EQUAL(plan.copies[3].channel, 1);
}

}  // namespace gradcam::test
