// Included once for each instruction set, with GRADCAM_TILE_TARGET, kVectorFloats and kRows defined.

typedef float Vector __attribute__((vector_size(4 * kVectorFloats), aligned(4), may_alias));

// The accumulators of a tile stay in registers: rows * vectors of them, and what is multiplied.
template <int rows, int vectors>
GRADCAM_TILE_TARGET void multiply(const TileArguments& tile) {
  Vector sums[rows][vectors];
#pragma GCC unroll 16
  for (int row = 0; row < rows; ++row)
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v)
      if (tile.first && tile.start)
        sums[row][v] = *reinterpret_cast<const Vector*>(tile.start + v * kVectorFloats);
      else if (tile.first || tile.apart)
        sums[row][v] = Vector{};
      else
        sums[row][v] = *reinterpret_cast<const Vector*>(tile.to + row * tile.to_stride + v * kVectorFloats);
  const float* right = tile.right;
  const int64_t depth = tile.depth;
#pragma GCC unroll 1
  for (int64_t piece = 0; piece < tile.piece_count; ++piece) {
    const float* left = tile.left + tile.pieces[piece];
#pragma GCC unroll 1
    for (int64_t k = 0; k < depth; ++k, ++left, right += vectors * kVectorFloats) {
      Vector columns[vectors];
#pragma GCC unroll 2
      for (int v = 0; v < vectors; ++v) columns[v] = *reinterpret_cast<const Vector*>(right + v * kVectorFloats);
#pragma GCC unroll 16
      for (int row = 0; row < rows; ++row) {
        const float factor = left[row * kTileStride];
#pragma GCC unroll 2
        for (int v = 0; v < vectors; ++v) sums[row][v] += columns[v] * factor;
      }
    }
  }
#pragma GCC unroll 16
  for (int row = 0; row < rows; ++row)
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v) {
      const auto at = row * tile.to_stride + v * kVectorFloats;
      Vector sum = sums[row][v];
      if (tile.apart && !tile.first) sum += *reinterpret_cast<const Vector*>(tile.to + at);
      if (tile.bias) sum += *reinterpret_cast<const Vector*>(tile.bias + v * kVectorFloats);
      if (tile.last) {
        if (tile.residual) sum += *reinterpret_cast<const Vector*>(tile.residual + at);
        const Vector floor = Vector{} + tile.floor;
        sum = sum < floor ? floor : sum;
      }
      *reinterpret_cast<Vector*>(tile.to + at) = sum;
    }
}

GRADCAM_TILE_TARGET void copy(const float* from, float* to, const float* scale, const float* shift, float floor,
                              int64_t count) {
  if (!scale) {
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
    return;
  }
  GRADCAM_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) {
    const float value = from[i] * scale[i] + shift[i];
    to[i] = value < floor ? floor : value;
  }
}

template <bool open, bool positive>
GRADCAM_TILE_TARGET void gate(const GateArguments& g) {
  GRADCAM_INDEPENDENT
  for (int64_t i = 0; i < g.count; ++i) {
    // NaN passes, as with LibTorch.
    const bool closed = (open && g.x[i] * g.scale[i] + g.shift[i] <= 0) | (positive && g.above[i] <= 0);
    g.to[i] = (closed ? 0 : g.above[i]) * g.by[i] * g.then_by[i];
  }
}

GRADCAM_TILE_TARGET void winograd_input(const WinogradInput& in) {
  for (int64_t i = 0; i < in.count; i += kVectorFloats) {
    Vector d[16];
#pragma GCC unroll 16
    for (int p = 0; p < 16; ++p) {
      if (!in.pixels[p]) {
        d[p] = Vector{};
        continue;
      }
      d[p] = *reinterpret_cast<const Vector*>(in.pixels[p] + i);
      if (!in.scale) continue;
      const Vector floor = Vector{} + in.floor;
      d[p] = d[p] * *reinterpret_cast<const Vector*>(in.scale + i) + *reinterpret_cast<const Vector*>(in.shift + i);
      d[p] = d[p] < floor ? floor : d[p];
    }
    Vector rows[16];
#pragma GCC unroll 4
    for (int x = 0; x < 4; ++x) {
      rows[x] = d[x] - d[8 + x];
      rows[4 + x] = d[4 + x] + d[8 + x];
      rows[8 + x] = d[8 + x] - d[4 + x];
      rows[12 + x] = d[4 + x] - d[12 + x];
    }
#pragma GCC unroll 4
    for (int y = 0; y < 4; ++y) {
      const Vector* row = rows + 4 * y;
      float* to = in.to + 4 * y * in.distance + i;
      *reinterpret_cast<Vector*>(to) = row[0] - row[2];
      *reinterpret_cast<Vector*>(to + in.distance) = row[1] + row[2];
      *reinterpret_cast<Vector*>(to + 2 * in.distance) = row[2] - row[1];
      *reinterpret_cast<Vector*>(to + 3 * in.distance) = row[1] - row[3];
    }
  }
}

GRADCAM_TILE_TARGET void winograd_output(const WinogradOutput& out) {
  for (int64_t i = 0; i < out.count; i += kVectorFloats) {
    Vector rows[8];
#pragma GCC unroll 4
    for (int x = 0; x < 4; ++x) {
      const float* from = out.from + x * out.distance + i;
      const Vector m0 = *reinterpret_cast<const Vector*>(from);
      const Vector m1 = *reinterpret_cast<const Vector*>(from + 4 * out.distance);
      const Vector m2 = *reinterpret_cast<const Vector*>(from + 8 * out.distance);
      const Vector m3 = *reinterpret_cast<const Vector*>(from + 12 * out.distance);
      rows[x] = m0 + m1 + m2;
      rows[4 + x] = m1 - m2 - m3;
    }
    const Vector bias = out.bias ? *reinterpret_cast<const Vector*>(out.bias + i) : Vector{};
    const Vector floor = Vector{} + out.floor;
#pragma GCC unroll 4
    for (int p = 0; p < 4; ++p) {
      if (!out.to[p]) continue;
      const Vector* row = rows + p / 2 * 4;
      Vector sum = p % 2 == 0 ? row[0] + row[1] + row[2] : row[1] - row[2] - row[3];
      sum += bias;
      if (out.residual[p]) sum += *reinterpret_cast<const Vector*>(out.residual[p] + i);
      *reinterpret_cast<Vector*>(out.to[p] + i) = sum < floor ? floor : sum;
    }
  }
}

template <int vectors, int... indices>
constexpr std::array<TileProduct::Kernel, sizeof...(indices)> kernels(std::integer_sequence<int, indices...>) {
  return {multiply<indices + 1, vectors>...};
}

const auto kFull = kernels<2>(std::make_integer_sequence<int, kRows>());
const auto kHalf = kernels<1>(std::make_integer_sequence<int, kRows>());
const TileProduct kProduct{
    kRows,          2 * kVectorFloats,
    kFull.data(),   kHalf.data(),
    copy,           {{gate<false, false>, gate<false, true>}, {gate<true, false>, gate<true, true>}},
    winograd_input, winograd_output};
