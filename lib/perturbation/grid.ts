import { expect, invalid } from '../base/check.js'
import { eighths, isLength, lengthsOf } from './lengths.js'
import { Tensor } from '../tensor/tensor.js'

/** A larger image would block the event loop for seconds. */
const mostPixels = 2 ** 26

/**
 * Boxes of an image, volume or signal as features for feature ablation: elements of one cell have the same integer.
 *
 * @param size of the image, [height, width]; [depth, height, width] of a volume, [length] of a signal
 * @param cell its size in each dimension, or a number for all; an eighth of the whole by default, rounded up; the last ones are cropped
 * @returns [1, 1, ...size] int64, for the caller to dispose
 * @throws GradCamError ERR_INVALID_ARGUMENT
 */
export function gridFeatures(size: readonly number[], cell?: number | readonly number[]): Tensor {
  const sizes = expect.list('size', size, isLength, 'one to three numbers of elements, such as [height, width]')
  if (sizes.length === 0) throw invalid('size', 'the size of at least one dimension', size)
  const elements = sizes.reduce((product, n) => product * n, 1)
  if (elements > mostPixels) throw invalid('size', `at most ${mostPixels} elements`, size)
  if (cell !== undefined && !isLength(cell)) expect.list('cell', cell, isLength, 'integers from 1 on')
  const cells = lengthsOf(cell, eighths(sizes))
  if (cells.length !== sizes.length) throw invalid('cell', `a size for each of ${sizes.length} dimensions`, cell)
  const ids = new BigInt64Array(elements)
  const at = sizes.map(() => 0)
  for (let i = 0; i < elements; i++) {
    let id = 0
    for (const [d, n] of sizes.entries()) {
      const length = cells[d] as number
      id = id * Math.ceil(n / length) + Math.floor((at[d] as number) / length)
    }
    ids[i] = BigInt(id)
    for (let d = sizes.length - 1; d >= 0; d--) {
      const next = (at[d] as number) + 1
      at[d] = next === sizes[d] ? 0 : next
      if (at[d] !== 0) break
    }
  }
  return Tensor.from(ids, [1, 1, ...sizes])
}
