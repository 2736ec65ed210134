import { expect, invalid } from '../base/check.js'
import { Tensor } from '../tensor/tensor.js'

/** A larger image would block the event loop for seconds. */
const mostPixels = 2 ** 26

/**
 * Rectangles of an image as features for feature ablation: elements of one cell have the same integer.
 *
 * @param size of the image, [height, width]
 * @param cell its [height, width], an eighth of the image by default, rounded up; the last ones are cropped
 * @returns [1, 1, height, width] int64, for the caller to dispose
 * @throws GradCamError ERR_INVALID_ARGUMENT
 */
export function gridFeatures(size: readonly [number, number], cell?: readonly [number, number]): Tensor {
  const [height, width] = expect.size('size', size)
  if (height * width > mostPixels) throw invalid('size', `an image of at most ${mostPixels} pixels`, size)
  const [rows, columns] = cell === undefined ? [height, width].map((n) => Math.ceil(n / 8)) : expect.size('cell', cell)
  const perRow = Math.ceil(width / columns)
  const ids = BigInt64Array.from({ length: height * width }, (_, i) => {
    const [row, column] = [Math.floor(i / width), i % width]
    return BigInt(Math.floor(row / rows) * perRow + Math.floor(column / columns))
  })
  return Tensor.from(ids, [1, 1, height, width])
}
