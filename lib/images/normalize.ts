import { expect } from '../base/check.js'
import { checkTensorShape, type Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'

/**
 * Min-max normalises each map or image of a batch to [0, 1]: subtracts its smallest element, then divides by its largest
 * plus `eps`. A constant one becomes 0, also where upsampling rounded it; one NaN makes all of its image NaN.
 *
 * @param tensor [N, C, H, W] with at least one element per image
 * @param eps a number from 0 on
 * @returns the same shape; float64 for float64, else float32, since `eps` would be rounded away in a narrower dtype
 * @throws GradCamError ERR_SHAPE, ERR_INVALID_ARGUMENT
 */
export function normalize(tensor: Tensor, eps = 1e-8): Tensor {
  const fits = ([, ...image]: readonly number[]) => image.length === 3 && !image.includes(0)
  checkTensorShape('tensor', tensor, '[N, C, H, W] with at least one pixel', fits)
  expect.number('eps', eps, { min: 0 })
  return tidy(() => {
    const wide = asFloat(tensor)
    const low = wide.amin([1, 2, 3], true)
    const shifted = wide.sub(low)
    const range = shifted.amax([1, 2, 3], true)
    const largest = low.abs().maximum(low.add(range).abs())
    const isVaried = range.lt(largest.mul(roundings * epsilon[wide.dtype as keyof typeof epsilon])).logicalNot()
    return shifted.mul(isVaried).div(range.add(eps))
  })
}

/** As kRoundings of native/core/base/rounding.h, by which overlays and explanations tell what is one number but for rounding. */
const roundings = 32
const epsilon = { float32: 2 ** -23, float64: 2 ** -52 } as const

/** The tensor itself when it is float32 or float64, else a float32 copy of it. */
export function asFloat(tensor: Tensor): Tensor {
  return tensor.dtype === 'float32' || tensor.dtype === 'float64' ? tensor : tensor.to({ dtype: 'float32' })
}
