#include "tile_product.h"

#include <ATen/Version.h>

#include <array>
#include <cstring>
#include <utility>

#include "clones.h"

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define GRADCAM_TILES
#endif

namespace gradcam {

#ifdef GRADCAM_TILES
// A vector of floats is passed to no function; GCC warns of its size in template arguments nevertheless.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"
namespace {

namespace avx512 {
#define GRADCAM_TILE_TARGET __attribute__((target("avx512f,fma")))  // fma: also for vectors that are not full
constexpr int kVectorFloats = 16, kRows = 14;                       // 28 of 32 registers
#include "tile_kernels.h"
#undef GRADCAM_TILE_TARGET
}  // namespace avx512

namespace avx2 {
#define GRADCAM_TILE_TARGET __attribute__((target("avx2,fma")))
constexpr int kVectorFloats = 8, kRows = 6;  // 12 of 16 registers
#include "tile_kernels.h"
#undef GRADCAM_TILE_TARGET
}  // namespace avx2

}  // namespace
#pragma GCC diagnostic pop

const TileProduct* tile_product() {
  static const TileProduct* const picked = []() -> const TileProduct* {
    const auto capability = at::get_cpu_capability();
    const bool fused = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (capability == "AVX512" && fused && __builtin_cpu_supports("avx512f")) return &avx512::kProduct;
    if ((capability == "AVX512" || capability == "AVX2") && fused) return &avx2::kProduct;
    return nullptr;
  }();
  return picked;
}
#else
const TileProduct* tile_product() { return nullptr; }
#endif

}  // namespace gradcam
