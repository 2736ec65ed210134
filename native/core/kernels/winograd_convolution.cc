#include "winograd_convolution.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>

#include "convolution_run.h"
#include "core/base/parallel.h"
#include "tile_product.h"

namespace gradcam {

using torch::Tensor;

namespace {

constexpr int64_t kSide = 4, kPositions = kSide * kSide;  // of the inputs that make 2x2 outputs

// Outputs that a block of tiles computes at a time. Its products, and the weight's columns, stay in the cache.
constexpr int64_t kMostOutputs = 512;

struct WinogradRun : ConvolutionRun {
  const float* packed;
  int64_t padding_y, padding_x;

  int64_t tiles_down() const { return (out_height + 1) / 2; }
  int64_t tiles_across() const { return (out_width + 1) / 2; }
  int64_t tiles() const { return batch * tiles_down() * tiles_across(); }
  // Whether there are so few tiles that reading the transformed weight, which has 16 values where 9 were, takes longer
  // than multiplying.
  bool is_bound_by_weight() const {
    constexpr int64_t kLargeWeight = 100'000, kLeastTiles = 32;
    return channels * outputs > kLargeWeight && tiles() < kLeastTiles;
  }
  // As many tiles as pay for reading the weight once.
  int64_t most_tiles() const { return channels * outputs > 16384 ? 56 : 28; }
};

// Where a tile lies.
struct TilePosition {
  int64_t image, y, x;  // of its first output

  TilePosition(const WinogradRun& run, int64_t tile)
      : image(tile / (run.tiles_down() * run.tiles_across())),
        y(tile / run.tiles_across() % run.tiles_down() * 2),
        x(tile % run.tiles_across() * 2) {}
};

// Channels [begin, begin + count) of a tile, transformed.
void transform_input(const WinogradRun& run, const TilePosition& tile, int64_t begin, int64_t count, float* to,
                     int64_t distance) {
  std::array<int64_t, kPositions> pixels;
  for (int64_t i = 0; i < kPositions; ++i) {
    const int64_t y = tile.y - run.padding_y + i / kSide, x = tile.x - run.padding_x + i % kSide;
    const bool inside = y >= 0 && y < run.height && x >= 0 && x < run.width;
    pixels[i] = inside ? (tile.image * run.height + y) * run.width + x : -1;
  }
  run.for_each_source(begin, count, [&](const ChannelSource& source, int64_t from, int64_t until) {
    WinogradInput in{};
    for (int64_t i = 0; i < kPositions; ++i)
      if (pixels[i] >= 0) in.pixels[i] = source.data + pixels[i] * source.channels + (from - source.first);
    if (run.scale) {
      in.scale = run.scale + from;
      in.shift = run.shift + from;
    }
    in.floor = run.floor_before;
    in.to = to + (from - begin);
    in.distance = distance;
    in.count = until - from;
    run.product.winograd_input(in);
  });
}

void transform_output(const WinogradRun& run, const TilePosition& tile, int64_t first, int64_t count, const float* from,
                      int64_t distance) {
  WinogradOutput out{};
  out.from = from;
  out.distance = distance;
  out.count = count;
  out.bias = run.bias ? run.bias + first : nullptr;
  out.floor = run.floor_after;
  for (int64_t i = 0; i < 4; ++i) {
    const int64_t y = tile.y + i / 2, x = tile.x + i % 2;
    if (y >= run.out_height || x >= run.out_width) continue;
    const auto at = ((tile.image * run.out_height + y) * run.out_width + x) * run.outputs + first;
    out.to[i] = run.to + at;
    if (run.residual) out.residual[i] = run.residual + at;
  }
  run.product.winograd_output(out);
}

// The products of a thread: it keeps the memory for the next run.
struct Scratch {
  std::vector<float> memory;

  float* floats(int64_t count) {
    constexpr int64_t kLine = 16;
    if (const auto size = static_cast<size_t>(count + kLine); memory.size() < size) memory = std::vector<float>(size);
    const auto address = reinterpret_cast<uintptr_t>(memory.data()) / sizeof(float);
    return memory.data() + (kLine - address % kLine) % kLine;
  }
};

Scratch& scratch() {
  thread_local Scratch own;
  return own;
}

void run_block(const WinogradRun& run, int64_t first_tile, int64_t last_tile, int64_t first_panel, int64_t last_panel) {
  const int64_t tiles = last_tile - first_tile, columns = run.product.columns;
  const int64_t first = first_panel * columns, outputs = std::min(run.outputs, last_panel * columns) - first;
  // Rows that are not a power of two apart do not displace each other in the cache.
  const int64_t to_stride = outputs + 16;
  const int64_t input_distance = tiles * kTileStride, output_distance = tiles * to_stride;
  auto* const inputs = scratch().floats(kPositions * (input_distance + output_distance));
  auto* const products = inputs + kPositions * input_distance;
  const int64_t chunks = (tiles + run.product.rows - 1) / run.product.rows;
  const int64_t piece = 0;
  for (int64_t channel = 0; channel < run.channels; channel += kTileDepth) {
    const int64_t count = std::min(kTileDepth, run.channels - channel);
    for (int64_t tile = 0; tile < tiles; ++tile)
      transform_input(run, TilePosition(run, first_tile + tile), channel, count, inputs + tile * kTileStride,
                      input_distance);
    for (int64_t position = 0; position < kPositions; ++position)
      for (int64_t panel = first_panel; panel < last_panel; ++panel) {
        const int64_t column = panel * columns, wide = std::min(columns, run.outputs - column);
        TileArguments arguments{};
        arguments.pieces = &piece;
        arguments.piece_count = 1;
        arguments.right = run.packed + (position * run.outputs + column) * run.channels + channel * wide;
        arguments.depth = count;
        arguments.to_stride = to_stride;
        arguments.first = channel == 0;
        const auto* kernels = wide == columns ? run.product.full : run.product.half;
        for (int64_t chunk = 0; chunk < chunks; ++chunk) {
          const int64_t from = tiles * chunk / chunks, until = tiles * (chunk + 1) / chunks;
          arguments.left = inputs + position * input_distance + from * kTileStride;
          arguments.to = products + position * output_distance + from * to_stride + (column - first);
          kernels[until - from - 1](arguments);
        }
      }
  }
  for (int64_t tile = 0; tile < tiles; ++tile)
    transform_output(run, TilePosition(run, first_tile + tile), first, outputs, products + tile * to_stride,
                     output_distance);
}

void run_in_parallel(const WinogradRun& run) {
  const int64_t threads = at::get_num_threads(), tiles = run.tiles();
  // Where there are few tiles, threads take some of the outputs each.
  const int64_t shared = tiles < run.product.rows * threads ? std::min(run.panels(), threads) : 1;
  const int64_t groups = std::max(shared, (run.outputs + kMostOutputs - 1) / kMostOutputs);
  const int64_t parts = shared > 1 ? 1 : threads;
  const int64_t blocks = std::min(tiles, (tiles + parts * run.most_tiles() - 1) / (parts * run.most_tiles()) * parts);
  parallel_for(0, blocks * groups, 1, [&](int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t group = unit / blocks, block = unit % blocks;
      run_block(run, tiles * block / blocks, tiles * (block + 1) / blocks, run.panels() * group / groups,
                run.panels() * (group + 1) / groups);
    }
  });
}

// A kernel of 3x3 as 4x4: G g Gᵀ, with rows (1, 0, 0), (1, 1, 1) / 2, (1, -1, 1) / 2 and (0, 0, 1) of G.
std::array<double, kPositions> transform_kernel(const float* kernel) {
  constexpr int64_t kKernel = 3;
  std::array<double, kSide * kKernel> rows;
  for (int64_t x = 0; x < kKernel; ++x) {
    const double top = kernel[x], middle = kernel[kKernel + x], bottom = kernel[2 * kKernel + x];
    rows[x] = top;
    rows[kKernel + x] = (top + middle + bottom) / 2;
    rows[2 * kKernel + x] = (top - middle + bottom) / 2;
    rows[3 * kKernel + x] = bottom;
  }
  std::array<double, kPositions> transformed;
  for (int64_t y = 0; y < kSide; ++y) {
    const double *row = &rows[y * kKernel], left = row[0], middle = row[1], right = row[2];
    transformed[y * kSide] = left;
    transformed[y * kSide + 1] = (left + middle + right) / 2;
    transformed[y * kSide + 2] = (left - middle + right) / 2;
    transformed[y * kSide + 3] = right;
  }
  return transformed;
}

// [outputs, inputs, 3, 3] transformed, as 16 matrices in panels of some outputs: [inputs, outputs of the panel] each.
Tensor pack(const Tensor& weight, int64_t columns) {
  const int64_t outputs = weight.size(0), inputs = weight.size(1), kernel = weight.size(2) * weight.size(3);
  const auto dense = weight.contiguous();
  const auto* const from = dense.const_data_ptr<float>();
  auto packed = at::empty({kPositions, outputs, inputs}, dense.options());
  auto* const to = packed.mutable_data_ptr<float>();
  parallel_for(0, (outputs + columns - 1) / columns, 1, [&](int64_t begin, int64_t end) {
    for (int64_t column = begin * columns; column < std::min(outputs, end * columns); column += columns) {
      const int64_t wide = std::min(columns, outputs - column);
      for (int64_t input = 0; input < inputs; ++input)
        for (int64_t output = 0; output < wide; ++output) {
          const auto values = transform_kernel(from + ((column + output) * inputs + input) * kernel);
          for (int64_t position = 0; position < kPositions; ++position)
            to[(position * outputs + column) * inputs + input * wide + output] =
                static_cast<float>(values[static_cast<size_t>(position)]);
        }
    }
  });
  return packed;
}

}  // namespace

std::optional<WinogradConvolution> WinogradConvolution::make(const ConvolutionWeight& weight,
                                                             const std::optional<Tensor>& bias,
                                                             const ConvolutionShape& shape) {
  constexpr int64_t kMostPadding = 2;
  if (!TiledConvolution::fits(weight, bias, shape) || weight.size(2) != 3 || weight.size(3) != 3) return {};
  for (size_t i = 0; i < 2; ++i)
    if (shape.stride[i] != 1 || shape.dilation[i] != 1 || shape.padding[i] > kMostPadding) return {};
  if (weight.size(1) % (tile_product()->columns / 2) != 0) return {};
  WinogradConvolution convolution(weight, shape);
  if (bias) convolution.bias_ = bias->detach().contiguous();
  return convolution;
}

std::optional<Tensor> WinogradConvolution::run(at::TensorList inputs, const ConvolutionSurroundings& around) {
  auto shared = ConvolutionRun::make(inputs, weight_.sizes(), bias_, shape_, around);
  if (!shared) return {};
  const int64_t vector = shared->product.columns / 2;
  for (const auto& source : shared->sources)
    if (source.channels % vector != 0) return {};
  WinogradRun run{std::move(*shared), nullptr, shape_.padding[0], shape_.padding[1]};
  if (run.is_bound_by_weight()) return {};
  if (!packed_.defined()) packed_ = pack(weight_.make().detach(), run.product.columns);
  run.packed = packed_.const_data_ptr<float>();
  auto output = run.allocate_output(inputs[0].options());
  run_in_parallel(run);
  return output;
}

}  // namespace gradcam
