#pragma once
#include <cstdint>

namespace gradcam {

// How deep a slice of a matrix product is that runs at a time, and how far the rows of its left side lie apart. The
// distance is not a power of two, so that rows do not displace each other in the cache.
constexpr int64_t kTileDepth = 256, kTileStride = kTileDepth + 16;

// A tile of a matrix product: `to` += `left` * `right`, with `left` [rows, depth] in rows of kTileStride and `right`
// [depth, columns] dense.
struct TileArguments {
  const float* left;
  const float* right;
  int64_t depth;
  float* to;
  int64_t to_stride;
  bool first;  // overwrites `to` instead of adding to it
  bool last;   // then also adds `bias` and `residual` where they are not null, and takes `floor` for what is below it
  const float* bias;
  const float* residual;  // in rows like those of `to`
  float floor;
};

// Kernels for one instruction set. A tile has up to `rows` rows and `columns` or half as many columns.
struct TileProduct {
  using Kernel = void (*)(const TileArguments&);
  int64_t rows, columns;
  const Kernel* full;  // by the number of rows, from 1
  const Kernel* half;
  // to = max(from * scale + shift, floor), where NaN stays NaN; `scale` may be null: then a copy.
  void (*copy)(const float* from, float* to, const float* scale, const float* shift, float floor, int64_t count);
};

// For this processor, as LibTorch's own kernels are chosen (ATEN_CPU_CAPABILITY); null where there are none.
const TileProduct* tile_product();

}  // namespace gradcam
