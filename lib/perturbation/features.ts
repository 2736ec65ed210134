import { invalid } from '../base/check.js'
import { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import { checkExpands } from './perturbation.js'

/** Refuses what is not a mask of features for an input of this shape. */
export function checkFeatures(features: Tensor, shape: readonly number[]): void {
  if (!(features instanceof Tensor) || /float/.test(features.dtype))
    throw invalid('features', 'a Tensor of integers: elements with the same one are removed together', features, {
      code: 'ERR_DTYPE',
    })
  checkExpands(features, shape, 'feature mask')
}

/** A mask of features as int64 with as many dimensions as the input x, for the caller to dispose. */
export function likeInput(features: Tensor, x: Tensor): Tensor {
  const shape = [...Array<number>(x.shape.length - features.shape.length).fill(1), ...features.shape]
  return tidy(() => features.to({ dtype: 'int64', device: x.device }).reshape(shape).clone())
}

/** The integers of a mask, each once, in ascending order. */
export function numbersOf(mask: Iterable<bigint>): BigInt64Array {
  return BigInt64Array.from([...new Set(mask)].sort((a, b) => (a < b ? -1 : 1)))
}

/** Every element of x is a feature by itself: [1, ...] int64. */
export function everyElement(x: Tensor): Tensor {
  const sizes = x.shape.slice(1)
  const elements = sizes.reduce((product, size) => product * size, 1)
  return Tensor.from(
    BigInt64Array.from({ length: elements }, (_, i) => BigInt(i)),
    [1, ...sizes],
    { device: x.device },
  )
}
