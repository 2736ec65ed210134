// Work on LibTorch's threads: see parallel.h.
#include "core/base/parallel.h"

#include <ATen/Parallel.h>

#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "check.h"

namespace gradcam::test {

TEST_CASE("parallel_for: every index once, in parts of at least the grain, on as many threads as LibTorch has") {
  const auto threads = at::get_num_threads();
  for (const int count : {1, 2, 3, 5}) {
    at::set_num_threads(count);
    for (const int64_t size : {0, 1, 2, 7, 1000})
      for (const int64_t grain : {1, 3, 400}) {
        std::mutex mutex;
        std::vector<int> seen(static_cast<size_t>(size) + 10);
        std::set<std::thread::id> ids;
        bool large = true;
        gradcam::parallel_for(10, 10 + size, grain, [&](int64_t begin, int64_t end) {
          const std::lock_guard lock(mutex);
          ids.insert(std::this_thread::get_id());
          large = large && (end - begin) * 2 > grain;  // parts are of equal size: the last ones may fall below
          for (auto i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
        });
        for (size_t i = 0; i < seen.size(); ++i) EXPECT_EQUAL(seen[i], i < 10 ? 0 : 1);
        EXPECT(large || size < grain);
        const auto parts = std::min<int64_t>(count, (size + grain - 1) / grain);
        EXPECT_EQUAL(static_cast<int64_t>(ids.size()), parts);
      }
  }
  at::set_num_threads(threads);
}

TEST_CASE("parallel_for: an exception arrives, and inner loops run on the thread that they are on") {
  const auto threads = at::get_num_threads();
  at::set_num_threads(2);
  EXPECT_THROWS(std::runtime_error,
                gradcam::parallel_for(0, 8, 1,
                                      [](int64_t begin, int64_t) {
                                        if (begin > 0) throw std::runtime_error("from a part");
                                      }),
                "from a part");
  std::mutex mutex;
  int inner = 0;
  gradcam::parallel_for(0, 2, 1, [&](int64_t, int64_t) {
    const auto outer = std::this_thread::get_id();
    gradcam::parallel_for(0, 8, 1, [&](int64_t, int64_t) {
      const std::lock_guard lock(mutex);
      inner += std::this_thread::get_id() == outer ? 1 : 100;
    });
  });
  EXPECT_EQUAL(inner, 2);
  at::set_num_threads(threads);
}

}  // namespace gradcam::test
