// Batches in parts: how large the parts are, and that they make up the whole.
#include "core/split/image_parts.h"

#include <ATen/Parallel.h>
#include <torch/script.h>

#include "check.h"

namespace gradcam::test {

TEST_CASE("image parts: parts are of equal size up to one image, and larger where many threads share them") {
  const auto part = [](std::vector<int64_t> sizes, int64_t usual) {
    return images_of_part(at::empty(sizes, at::kByte), usual);
  };
  const int threads = at::get_num_threads();
  at::set_num_threads(2);
  EXPECT_EQUAL(part({8, 3, 224, 224}, 8), 8);
  EXPECT_EQUAL(part({9, 3, 224, 224}, 8), 5);
  EXPECT_EQUAL(part({32, 3, 224, 224}, 8), 8);
  EXPECT_EQUAL(part({33, 3, 224, 224}, 8), 7);
  EXPECT_EQUAL(part({32, 3, 448, 448}, 8), 2);
  EXPECT_EQUAL(part({3, 1, 2000, 2000}, 8), 1);
  EXPECT_EQUAL(part({0, 3, 224, 224}, 8), 0);
  at::set_num_threads(8);
  EXPECT_EQUAL(part({32, 3, 224, 224}, 8), 16);
  at::set_num_threads(threads);
}

TEST_CASE("image parts: a large batch runs in parts of equal size, whose values are put together in their layout") {
  torch::manual_seed(5);
  const auto run = [](const Tensor& batch, std::vector<int64_t>& counts) {
    return run_in_parts({IValue(7), IValue(batch)}, 1, [&](std::vector<IValue> inputs) {
      EXPECT_EQUAL(inputs.at(0).toInt(), 7);
      const auto part = inputs.at(1).toTensor();
      counts.push_back(part.size(0));
      return std::vector<IValue>{part * 2, part.mean(at::IntArrayRef{-1, -2})};
    });
  };
  // 16 images of 224x224 are a part; so are 4 of twice the size.
  const std::vector<std::pair<int64_t, std::vector<int64_t>>> expected{{4, {4}}, {5, {3, 2}}, {9, {3, 3, 3}}};
  for (const auto& [images, parts] : expected)
    for (const auto layout : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
      const auto batch = torch::randn({images, 2, 448, 448}).contiguous(layout);
      std::vector<int64_t> counts;
      const auto found = run(batch, counts);
      EXPECT(counts == parts);
      EXPECT_EQUAL(found.size(), 2u);
      EXPECT(at::equal(found[0].toTensor(), batch * 2));
      EXPECT(found[0].toTensor().is_contiguous(layout));
      EXPECT(at::allclose(found[1].toTensor(), batch.mean(at::IntArrayRef{2, 3}), 1e-5, 1e-6));
    }
  std::vector<int64_t> counts;
  (void)run(torch::randn({40, 448, 448}), counts);  // one image, of 40 channels
  EXPECT(counts == std::vector<int64_t>{40});
}

}  // namespace gradcam::test
