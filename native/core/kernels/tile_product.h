#pragma once
#include <cstdint>

namespace gradcam {

// How deep a slice of a matrix product is that runs at a time, and how far the rows of its left side lie apart. The
// distance is not a power of two, so that rows do not displace each other in the cache.
constexpr int64_t kTileDepth = 256, kTileStride = kTileDepth + 16;

// A tile of a matrix product: `to` += `left` * `right`, with `left` [rows, depth] in rows of kTileStride and `right`
// [depth, columns] dense. The left side may be in pieces of `depth` each; `right` goes on from one to the next.
struct TileArguments {
  const float* left;
  const int64_t* pieces;  // how far from `left` each piece begins
  int64_t piece_count;
  const float* right;
  int64_t depth;
  float* to;
  int64_t to_stride;
  bool first;             // overwrites `to` instead of adding to it
  bool apart;             // sums up from zero and adds that to `to`, which rounds otherwise than to go on from there
  const float* start;     // where not null, what the first sum goes on from
  const float* bias;      // where not null, added to the sum
  bool last;              // then also adds `residual` where it is not null, and takes `floor` for what is below it
  const float* residual;  // in rows like those of `to`
  float floor;
};

// The gradient at x of relu(x * scale + shift), times `by` and `then_by`, for `count` channels of a pixel: `above` is
// the gradient at its output. Whether the gate is open is computed as `copy` does, so that it is the same gate.
struct GateArguments {
  const float *x, *scale, *shift, *above, *by, *then_by;
  float* to;
  int64_t count;
};

// Winograd's transforms for 2x2 outputs of a 3x3 kernel (see winograd_convolution.h), of `count` channels, which is a
// multiple of a vector. The 16 transformed values lie `distance` floats apart.
struct WinogradInput {
  const float* pixels[16];     // 4x4, row by row; null in the padding
  const float *scale, *shift;  // `scale` may be null, see TileProduct::copy
  float floor;
  float* to;
  int64_t distance, count;
};
struct WinogradOutput {
  const float* from;
  int64_t distance, count;
  const float* bias;         // may be null
  const float* residual[4];  // of each output, may be null
  float floor;
  float* to[4];  // 2x2, row by row; null outside the output
};

// Kernels for one instruction set. A tile has up to `rows` rows and `columns` or half as many columns.
struct TileProduct {
  using Kernel = void (*)(const TileArguments&);
  int64_t rows, columns;
  const Kernel* full;  // by the number of rows, from 1
  const Kernel* half;
  // to = max(from * scale + shift, floor), where NaN stays NaN; `scale` may be null: then a copy.
  void (*copy)(const float* from, float* to, const float* scale, const float* shift, float floor, int64_t count);
  // By whether the gradient passes only where the gate is open, and whether only where it is positive itself.
  void (*gate[2][2])(const GateArguments&);
  void (*winograd_input)(const WinogradInput&);
  void (*winograd_output)(const WinogradOutput&);
};

// For this processor, as LibTorch's own kernels are chosen (ATEN_CPU_CAPABILITY); null where there are none.
const TileProduct* tile_product();

}  // namespace gradcam
