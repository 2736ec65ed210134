import { inspect } from 'node:util'
import { GradCamError } from '../base/errors.js'
import { Tensor } from '../tensor/tensor.js'

/**
 * Rectangles of an image as features for feature ablation: elements of one cell have the same integer.
 *
 * @param size of the image, [height, width]
 * @param cell its [height, width], an eighth of the image by default, rounded up; the last ones are cropped
 * @returns [1, 1, height, width] int64, for the caller to dispose
 * @throws GradCamError ERR_INVALID_ARGUMENT
 */
export function gridFeatures(
  size: readonly [number, number],
  cell: readonly [number, number] = [Math.ceil(size[0] / 8), Math.ceil(size[1] / 8)],
): Tensor {
  for (const [name, lengths] of Object.entries({ size, cell }))
    if (!Array.isArray(lengths) || lengths.length !== 2 || !lengths.every((n) => Number.isSafeInteger(n) && n > 0))
      throw new GradCamError(
        'ERR_INVALID_ARGUMENT',
        `${inspect(lengths)} is no ${name}: give a height and a width from 1 on.`,
      )
  const [height, width] = size
  const perRow = Math.ceil(width / cell[1])
  const ids = BigInt64Array.from({ length: height * width }, (_, i) => {
    const [row, column] = [Math.floor(i / width), i % width]
    return BigInt(Math.floor(row / cell[0]) * perRow + Math.floor(column / cell[1]))
  })
  return Tensor.from(ids, [1, 1, height, width])
}
