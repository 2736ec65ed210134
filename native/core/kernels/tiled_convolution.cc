#include "tiled_convolution.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "convolution_run.h"
#include "core/base/parallel.h"
#include "tile_product.h"

namespace gradcam {

using torch::Tensor;

namespace {

using Bias = SummationOrder::Bias;

constexpr int64_t kLeastChannels = 16;  // with fewer, copying costs more than multiplying

constexpr int64_t kMostScratchRows = 64, kMostTaps = 49;

struct TiledRun : ConvolutionRun {
  const float* packed;
  int64_t kernel_height, kernel_width;
  int64_t stride_y, stride_x, padding_y, padding_x, dilation_y, dilation_x;
  SummationOrder order;

  // Whether pixels beside each other go through the kernel together: see run_strip.
  bool in_strips() const {
    const int64_t most = product.rows;
    return stride_x == 1 && kernel_width > 1 && out_width >= most - 2 &&
           most + (kernel_width - 1) * dilation_x <= kMostScratchRows;
  }
  // Whether the channels that are summed up together fit into a row.
  bool fits() const {
    const int64_t taps = kernel_height * kernel_width;
    if (order.channels == 0) return true;
    if (in_strips()) return order.channels * kernel_height <= kTileDepth && taps <= kMostTaps;
    return order.channels * taps <= kTileDepth;
  }

  int64_t pixels() const { return batch * out_height * out_width; }

  // One row of the left side: channels [begin, begin + count) of the pixel at (y, x), or zeros in the padding.
  void copy_pixel(int64_t image, int64_t y, int64_t x, int64_t begin, int64_t count, float* row) const {
    if (y < 0 || y >= height || x < 0 || x >= width) {
      std::fill_n(row, count, 0.0f);
      return;
    }
    const int64_t pixel = (image * height + y) * width + x;
    for_each_source(begin, count, [&](const ChannelSource& source, int64_t from, int64_t until) {
      product.copy(source.data + pixel * source.channels + (from - source.first), row + (from - begin),
                   scale ? scale + from : nullptr, shift ? shift + from : nullptr, floor_before, until - from);
    });
  }

  // Multiplies `rows` rows at `left`, which become output pixels from `pixel` on, with rows [begin, ...) of one panel
  // of the weight.
  void multiply(const float* left, int64_t rows, int64_t pixel, int64_t panel, int64_t begin, int64_t count,
                const int64_t* pieces, int64_t piece_count, bool first, bool last) const {
    const int64_t column = panel * product.columns, columns = std::min(product.columns, outputs - column);
    const int64_t depth = kernel_height * kernel_width * channels;
    const auto* right = packed + column * depth + begin * columns;
    const auto at = pixel * outputs + column;
    TileArguments tile{};
    tile.left = left;
    tile.pieces = pieces;
    tile.piece_count = piece_count;
    tile.right = right;
    tile.depth = count;
    tile.to = to + at;
    tile.to_stride = outputs;
    tile.first = first;
    tile.apart = order.apart;
    if (bias) {
      const auto* own = bias + column;
      if (first && order.bias == Bias::start) tile.start = own;
      if ((first && order.bias == Bias::first) || (last && order.bias == Bias::last)) tile.bias = own;
    }
    tile.last = last;
    tile.residual = residual ? residual + at : nullptr;
    tile.floor = floor_after;
    (columns == product.columns ? product.full : product.half)[rows - 1](tile);
  }

  void multiply(const float* left, int64_t rows, int64_t pixel, int64_t panel, int64_t tap, int64_t begin,
                int64_t count, bool first, bool last) const {
    const int64_t piece = 0;
    multiply(left, rows, pixel, panel, tap * channels + begin, count, &piece, 1, first, last);
  }
};

// How the output pixels are divided into tiles: `rows` consecutive pixels each.
struct Tiling {
  int64_t length, rows, count;  // of `length` pixels

  Tiling(int64_t pixels, int64_t most) : length(pixels) {
    count = (length + most - 1) / most;
    rows = (length + count - 1) / count;
    count = (length + rows - 1) / rows;
  }
  int64_t begin(int64_t tile) const { return tile * rows; }
  int64_t size(int64_t tile) const { return std::min(rows, length - tile * rows); }
};

// Pixels in any order: each tile's rows are gathered for each tap of the kernel. A block of tiles goes through a panel
// of the weight together, which stays in the cache.
void run_gathered(const TiledRun& run, const Tiling& tiling, int64_t first_tile, int64_t last_tile, int64_t first_panel,
                  int64_t last_panel, float* scratch) {
  const int64_t begin_pixel = tiling.begin(first_tile);
  const int64_t end_pixel = tiling.begin(last_tile - 1) + tiling.size(last_tile - 1);
  const int64_t taps = run.kernel_height * run.kernel_width, area = run.out_height * run.out_width;
  for (int64_t tap = 0; tap < taps; ++tap)
    for (int64_t channel = 0; channel < run.channels; channel += kTileDepth) {
      const int64_t count = std::min(kTileDepth, run.channels - channel);
      const int64_t dy = tap / run.kernel_width * run.dilation_y - run.padding_y;
      const int64_t dx = tap % run.kernel_width * run.dilation_x - run.padding_x;
      int64_t image = begin_pixel / area, y = begin_pixel % area / run.out_width, x = begin_pixel % run.out_width;
      for (int64_t pixel = begin_pixel; pixel < end_pixel; ++pixel) {
        run.copy_pixel(image, y * run.stride_y + dy, x * run.stride_x + dx, channel, count,
                       scratch + (pixel - begin_pixel) * kTileStride);
        if (++x < run.out_width) continue;
        x = 0;
        if (++y < run.out_height) continue;
        y = 0;
        ++image;
      }
      const bool first = tap == 0 && channel == 0, last = tap == taps - 1 && channel + count == run.channels;
      for (int64_t panel = first_panel; panel < last_panel; ++panel)
        for (int64_t tile = first_tile; tile < last_tile; ++tile)
          run.multiply(scratch + (tiling.begin(tile) - begin_pixel) * kTileStride, tiling.size(tile),
                       tiling.begin(tile), panel, tap, channel, count, first, last);
    }
}

// Pixels beside each other in one row of the output, with a horizontal stride of 1: the taps of a kernel's row read the
// same pixels, moved by the dilation.
void run_strip(const TiledRun& run, const Tiling& tiling, int64_t row, int64_t tile, int64_t first_panel,
               int64_t last_panel, float* scratch) {
  const int64_t image = row / run.out_height, y = row % run.out_height * run.stride_y - run.padding_y;
  const int64_t x = tiling.begin(tile), size = tiling.size(tile);
  const int64_t wide = size + (run.kernel_width - 1) * run.dilation_x;
  // Rows of the kernel that read nothing but padding are left out, unless all of them do.
  int64_t first_row = 0, last_row = run.kernel_height;
  while (first_row < last_row - 1 && y + first_row * run.dilation_y < 0) ++first_row;
  while (last_row > first_row + 1 && y + (last_row - 1) * run.dilation_y >= run.height) --last_row;
  for (int64_t kernel_row = first_row; kernel_row < last_row; ++kernel_row)
    for (int64_t channel = 0; channel < run.channels; channel += kTileDepth) {
      const int64_t count = std::min(kTileDepth, run.channels - channel);
      for (int64_t i = 0; i < wide; ++i)
        run.copy_pixel(image, y + kernel_row * run.dilation_y, x - run.padding_x + i, channel, count,
                       scratch + i * kTileStride);
      for (int64_t panel = first_panel; panel < last_panel; ++panel)
        for (int64_t column = 0; column < run.kernel_width; ++column)
          run.multiply(scratch + column * run.dilation_x * kTileStride, size, row * run.out_width + x, panel,
                       kernel_row * run.kernel_width + column, channel, count,
                       kernel_row == first_row && channel == 0 && column == 0,
                       kernel_row == last_row - 1 && channel + count == run.channels && column == run.kernel_width - 1);
    }
}

// The same in another order: some channels at a time, of which all taps lie side by side.
void run_gathered_blocks(const TiledRun& run, const Tiling& tiling, int64_t first_tile, int64_t last_tile,
                         int64_t first_panel, int64_t last_panel, float* scratch) {
  const int64_t begin_pixel = tiling.begin(first_tile);
  const int64_t end_pixel = tiling.begin(last_tile - 1) + tiling.size(last_tile - 1);
  const int64_t taps = run.kernel_height * run.kernel_width, area = run.out_height * run.out_width;
  const int64_t piece = 0;
  for (int64_t channel = 0; channel < run.channels; channel += run.order.channels) {
    const int64_t count = std::min(run.order.channels, run.channels - channel);
    int64_t image = begin_pixel / area, y = begin_pixel % area / run.out_width, x = begin_pixel % run.out_width;
    for (int64_t pixel = begin_pixel; pixel < end_pixel; ++pixel) {
      auto* row = scratch + (pixel - begin_pixel) * kTileStride;
      for (int64_t tap_y = 0; tap_y < run.kernel_height; ++tap_y)
        for (int64_t tap_x = 0; tap_x < run.kernel_width; ++tap_x, row += count)
          run.copy_pixel(image, y * run.stride_y - run.padding_y + tap_y * run.dilation_y,
                         x * run.stride_x - run.padding_x + tap_x * run.dilation_x, channel, count, row);
      if (++x < run.out_width) continue;
      x = 0;
      if (++y < run.out_height) continue;
      y = 0;
      ++image;
    }
    for (int64_t panel = first_panel; panel < last_panel; ++panel)
      for (int64_t tile = first_tile; tile < last_tile; ++tile)
        run.multiply(scratch + (tiling.begin(tile) - begin_pixel) * kTileStride, tiling.size(tile), tiling.begin(tile),
                     panel, taps * channel, taps * count, &piece, 1, channel == 0, channel + count == run.channels);
  }
}

void run_strip_blocks(const TiledRun& run, const Tiling& tiling, int64_t row, int64_t tile, int64_t first_panel,
                      int64_t last_panel, float* scratch) {
  const int64_t image = row / run.out_height, y = row % run.out_height * run.stride_y - run.padding_y;
  const int64_t x = tiling.begin(tile), size = tiling.size(tile);
  const int64_t wide = size + (run.kernel_width - 1) * run.dilation_x, taps = run.kernel_height * run.kernel_width;
  const int64_t together =
      std::max<int64_t>(1, kTileDepth / run.kernel_height / run.order.channels) * run.order.channels;
  int64_t pieces[kMostTaps];
  for (int64_t i = 0; i < taps; ++i)
    pieces[i] = i % run.kernel_width * run.dilation_x * kTileStride + i / run.kernel_width * together;
  for (int64_t group = 0; group < run.channels; group += together) {
    const int64_t end = std::min(run.channels, group + together);
    for (int64_t kernel_row = 0; kernel_row < run.kernel_height; ++kernel_row)
      for (int64_t i = 0; i < wide; ++i)
        run.copy_pixel(image, y + kernel_row * run.dilation_y, x - run.padding_x + i, group, end - group,
                       scratch + i * kTileStride + kernel_row * together);
    for (int64_t panel = first_panel; panel < last_panel; ++panel)
      for (int64_t channel = group; channel < end; channel += run.order.channels) {
        const int64_t count = std::min(run.order.channels, end - channel);
        run.multiply(scratch + (channel - group), size, row * run.out_width + x, panel, taps * channel, count, pieces,
                     taps, channel == 0, channel + count == run.channels);
      }
  }
}

// The rows of the left side, aligned.
float* scratch_rows() {
  alignas(64) thread_local float rows[kMostScratchRows * kTileStride];
  return rows;
}

void run_in_parallel(const TiledRun& run) {
  const int64_t threads = at::get_num_threads(), most = run.product.rows;
  const bool strips = run.in_strips();
  const Tiling tiling(strips ? run.out_width : run.pixels(), most);
  const int64_t tiles = strips ? tiling.count * run.batch * run.out_height : tiling.count;
  // Where there are few pixels, threads take some of the outputs each.
  const int64_t groups = tiles < 16 * threads ? std::min(run.panels(), threads) : 1;
  const int64_t together =
      strips ? 1 : std::clamp<int64_t>(tiles * groups / threads, 1, std::min<int64_t>(4, kMostScratchRows / most));
  const int64_t blocks = (tiles + together - 1) / together;
  parallel_for(0, blocks * groups, 1, [&](int64_t begin, int64_t end) {
    auto* scratch = scratch_rows();
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t group = unit / blocks, block = unit % blocks;
      const int64_t first_panel = run.panels() * group / groups, last_panel = run.panels() * (group + 1) / groups;
      if (strips && run.order.channels)
        run_strip_blocks(run, tiling, block / tiling.count, block % tiling.count, first_panel, last_panel, scratch);
      else if (run.order.channels)
        run_gathered_blocks(run, tiling, block * together, std::min(tiles, (block + 1) * together), first_panel,
                            last_panel, scratch);
      else if (strips)
        run_strip(run, tiling, block / tiling.count, block % tiling.count, first_panel, last_panel, scratch);
      else
        run_gathered(run, tiling, block * together, std::min(tiles, (block + 1) * together), first_panel, last_panel,
                     scratch);
    }
  });
}

// [outputs, inputs, height, width] as panels of some outputs: [height, width, inputs, outputs of the panel] each.
Tensor pack(const Tensor& weight, int64_t columns, const SummationOrder& order) {
  const auto panels = weight.split(columns, 0);
  std::vector<Tensor> packed;
  for (const auto& panel : panels)
    for (const auto& part : panel.split(order.channels ? order.channels : panel.size(1), 1))
      packed.push_back(part.permute({2, 3, 1, 0}).reshape({-1}));
  return at::cat(packed);
}

}  // namespace

std::vector<int64_t> output_sizes(at::IntArrayRef input, at::IntArrayRef weight, const ConvolutionShape& shape) {
  std::vector<int64_t> sizes{input[0], weight[0]};
  for (size_t i = 0; i < 2; ++i) {
    const auto room = input[i + 2] + 2 * shape.padding[i] - shape.dilation[i] * (weight[i + 2] - 1) - 1;
    sizes.push_back(room < 0 ? 0 : room / shape.stride[i] + 1);
  }
  return sizes;
}

bool TiledConvolution::fits(const ConvolutionWeight& weight, const std::optional<Tensor>& bias,
                            const ConvolutionShape& shape) {
  const auto* product = tile_product();
  if (!product || weight.dim() != 4 || weight.scalar_type() != at::kFloat || !weight.is_cpu() || weight.numel() == 0)
    return false;
  if (shape.groups != 1 || shape.stride.size() != 2 || shape.padding.size() != 2 || shape.dilation.size() != 2)
    return false;
  for (size_t i = 0; i < 2; ++i)
    if (shape.stride[i] < 1 || shape.padding[i] < 0 || shape.dilation[i] < 1) return false;
  if (bias && (bias->scalar_type() != at::kFloat || bias->dim() != 1 || bias->size(0) != weight.size(0))) return false;
  return weight.size(1) >= kLeastChannels && weight.size(0) % (product->columns / 2) == 0;
}

std::optional<TiledConvolution> TiledConvolution::make(const ConvolutionWeight& weight,
                                                       const std::optional<Tensor>& bias, const ConvolutionShape& shape,
                                                       SummationOrder order) {
  if (!fits(weight, bias, shape)) return {};
  const at::NoGradGuard no_graph;
  TiledConvolution convolution;
  convolution.packed_ = pack(weight.make().detach(), tile_product()->columns, order);
  convolution.order_ = order;
  if (bias) convolution.bias_ = bias->detach().contiguous();
  convolution.shape_ = shape;
  convolution.outputs_ = weight.size(0);
  convolution.inputs_ = weight.size(1);
  convolution.height_ = weight.size(2);
  convolution.width_ = weight.size(3);
  return convolution;
}

std::optional<Tensor> TiledConvolution::run(at::TensorList inputs, const ConvolutionSurroundings& around) const {
  auto shared = ConvolutionRun::make(inputs, {outputs_, inputs_, height_, width_}, bias_, shape_, around);
  if (!shared) return {};
  TiledRun run{std::move(*shared),
               packed_.const_data_ptr<float>(),
               height_,
               width_,
               shape_.stride[0],
               shape_.stride[1],
               shape_.padding[0],
               shape_.padding[1],
               shape_.dilation[0],
               shape_.dilation[1],
               order_};
  if (!run.fits()) return {};
  auto output = run.allocate_output(inputs[0].options());
  run_in_parallel(run);
  return output;
}

}  // namespace gradcam
