import type { CallOptions } from '../addon/abort.js'
import { callOperatorAsync } from '../tensor/dispatch.js'
import { functions, operators } from '../tensor/operators.js'
import { Tensor, tidy } from '../tensor/tensor.js'
import { bicubicWindows, type Window } from './bicubic-windows.js'

/**
 * Resizes decoded pixels on an executor thread, byte for byte as Pillow's bicubic `Image.resize` does.
 *
 * LibTorch has antialiased bicubic kernels, but that for bytes is now and then 2 of 255 away from Pillow (more in very
 * tall images), and that for floats, which does not clamp between the two axes, 16 at hard edges. So each axis is a
 * product with a matrix of Pillow's own fixed-point weights. Float64 holds such sums exactly, in whatever order they are
 * added.
 *
 * @param image uint8 [1, 3, H, W], best with the channels of a pixel side by side in memory
 * @returns uint8 [1, 3, height, width]
 */
export async function resizeBicubic(
  image: Tensor,
  [height, width]: readonly [number, number],
  options: CallOptions,
): Promise<Tensor> {
  const [, , fromHeight, fromWidth] = image.shape as [number, number, number, number]
  using pixels = tidy(() => image.permute([0, 2, 3, 1]).reshape([fromHeight, fromWidth * 3]))
  const inColumns = (from: Tensor) => resizeAxis(from, 1, 3, fromWidth, width, options)
  const inRows = (from: Tensor) => resizeAxis(from, 0, 1, fromHeight, height, options)
  // The order is Pillow's, and shows, since values are rounded and clamped in between.
  const rowsFirst = fromHeight > 100 * fromWidth && height < fromHeight
  using first = rowsFirst ? await inRows(pixels) : await inColumns(pixels)
  using second = rowsFirst ? await inColumns(first) : await inRows(first)
  return tidy(() => second.reshape([1, height, width, 3]).permute([0, 3, 1, 2]))
}

/** Some neighbours in the result, and the part of the source that they are made from. */
interface Step {
  readonly start: number
  readonly length: number
  /** Float64 [length, neighbours]. */
  readonly matrix: Tensor
}

/** As much of the source is made float64 at once: 32 MB. */
const elementsAtOnce = 4 << 20

/** Resizes uint8 [rows, columns] along one axis, where every `channels` neighbours are one pixel. */
async function resizeAxis(
  bytes: Tensor,
  axis: 0 | 1,
  channels: number,
  from: number,
  to: number,
  options: CallOptions,
): Promise<Tensor> {
  if (from === to) return bytes.detach()
  const across = axis === 0 ? 1 : 0
  const lines = bytes.shape[across] as number
  const linesAtOnce = Math.max(1, Math.floor(elementsAtOnce / (from * channels)))
  const steps = stepsOf(bicubicWindows(from, to), channels)
  const bands: Tensor[] = []
  try {
    for (let line = 0; line < lines; line += linesAtOnce) {
      using band = bytes.narrow(across, line, Math.min(linesAtOnce, lines - line))
      bands.push(await resizeBand(band, axis, steps, options))
    }
    return await callOperatorAsync(functions.cat, [bands, across], options)
  } finally {
    for (const { matrix } of steps) matrix.dispose()
    for (const band of bands) band.dispose()
  }
}

async function resizeBand(band: Tensor, axis: 0 | 1, steps: readonly Step[], options: CallOptions): Promise<Tensor> {
  using source = await callOperatorAsync(functions.to, [band, 'cpu', 'float64'], options)
  const parts: Tensor[] = []
  try {
    for (const { start, length, matrix } of steps) {
      using reached = source.narrow(axis, start, length)
      using weights = axis === 0 ? matrix.transpose(0, 1) : matrix.detach()
      const factors = axis === 0 ? [weights, reached] : [reached, weights]
      parts.push(await callOperatorAsync(operators.matmul, factors, options))
    }
    using sums = await callOperatorAsync(functions.cat, [parts, axis], options)
    using shifted = await callOperatorAsync(operators.add, [sums, 0.5], options)
    using floored = await callOperatorAsync(operators.floor, [shifted], options)
    using clamped = await callOperatorAsync(operators.clamp, [floored, 0, 255], options)
    return await callOperatorAsync(functions.to, [clamped, 'cpu', 'uint8'], options)
  } finally {
    for (const part of parts) part.dispose()
  }
}

/** One matrix for all windows would be nearly all zeros; one for each pixel would be too little work for a call. */
function stepsOf(windows: readonly Window[], channels: number): Step[] {
  const steps: Step[] = []
  for (let next = 0; next < windows.length;) {
    const { start, weights } = windows[next] as Window
    const wide = windows.findIndex((window, i) => i >= next + 8 && window.start - start > weights.length)
    const some = windows.slice(next, wide === -1 ? windows.length : wide)
    next += some.length
    const end = Math.max(...some.map((window) => window.start + window.weights.length))
    const matrix = toMatrix(some, start, (end - start) * channels, channels)
    steps.push({ start: start * channels, length: (end - start) * channels, matrix })
  }
  return steps
}

/** Float64 [length, windows * channels]; channels are not mixed. */
function toMatrix(windows: readonly Window[], start: number, length: number, channels: number): Tensor {
  const columns = windows.length * channels
  const matrix = new Float64Array(length * columns)
  for (const [pixel, window] of windows.entries())
    for (const [i, weight] of window.weights.entries())
      for (let channel = 0; channel < channels; channel++)
        matrix[((window.start - start + i) * channels + channel) * columns + pixel * channels + channel] = weight
  return Tensor.from(matrix, [length, columns])
}
