import { GradCamError } from '../base/errors.js'
import { tidy, type Tensor } from '../tensor/tensor.js'

/**
 * Stretches each map or image of a batch to [0, 1]: subtracts its smallest element, then divides by its largest plus
 * `eps`. A constant one becomes 0; NaN stays NaN, and spreads over its image.
 *
 * @param tensor [N, C, H, W] with at least one element per image
 * @returns the same shape; float64 for float64, else float32, since `eps` is nothing to a narrower dtype
 * @throws GradCamError ERR_SHAPE
 */
export function normalize(tensor: Tensor, eps = 1e-8): Tensor {
  const [, ...image] = tensor.shape
  if (image.length !== 3 || image.includes(0))
    throw new GradCamError(
      'ERR_SHAPE',
      `normalize wants [N, C, H, W] with pixels in it, but was given [${tensor.shape.join(', ')}].`,
    )
  return tidy(() => {
    const wide = asFloat(tensor)
    const shifted = wide.sub(wide.amin([1, 2, 3], true))
    return shifted.div(shifted.amax([1, 2, 3], true).add(eps))
  })
}

/** The tensor itself when it is float32 or float64, else a float32 copy of it. */
export function asFloat(tensor: Tensor): Tensor {
  return tensor.dtype === 'float32' || tensor.dtype === 'float64' ? tensor : tensor.to({ dtype: 'float32' })
}
