import { native } from '../addon/native.js'
import { expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { checkTensorShape, Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import { jetTable } from './jet.js'
import { asFloat } from './normalize.js'

/** How {@link overlay} blends. */
export interface OverlayOptions {
  /** How much of the map is seen: 0 gives the image alone, 1 the map alone. 0.5 by default. */
  alpha?: number
}

/** How far outside [0, 1] an image may lie: rounding, not an image that is scaled for a model. */
const tolerance = 0.01

/**
 * Lays a map over the image that it explains. The map is upsampled to the image's size (bilinear), min-max normalised to
 * [0, 1] per image (as {@link normalize} does, but without what is NaN), painted (see {@link colorize}) and blended:
 * `(1 - alpha) * image + alpha * painted`. Computed on the CPU, as overlays of batches are, by the same code.
 *
 * @param image [N, 3, H, W] in [0, 1]: load it without `normalize`, or `denormalize` it first
 * @param map [N, 1, h, w], e.g. of GradCam; on any device
 * @returns [N, 3, H, W] in [0, 1], float32 (float64 when the image is), on the image's device
 * @throws GradCamError ERR_SHAPE, ERR_INVALID_ARGUMENT for an alpha or an image outside [0, 1]
 */
export function overlay(image: Tensor, map: Tensor, options: OverlayOptions = {}): Tensor {
  const isImage = (shape: readonly number[]) => shape.length === 4 && shape[1] === 3 && !shape.includes(0)
  checkTensorShape('image', image, '[N, 3, H, W] with at least one pixel', isImage)
  const [images] = image.shape
  const isMap = (shape: readonly number[]) => shape.length === 4 && shape[0] === images && shape[1] === 1
  checkTensorShape('map', map, `[${images}, 1, h, w], one map for each image`, isMap)
  const { alpha = 0.5 } = expect.options(options)
  expect.number('alpha', alpha, { min: 0, max: 1 })
  return tidy(() => {
    const pixels = asFloat(image.detach())
    const outside = pixels.sub(0.5).abs().amax().item() - 0.5
    if (outside > tolerance)
      throw new GradCamError(
        'ERR_INVALID_ARGUMENT',
        `\`image\` must be in [0, 1], but a pixel lies ${outside.toPrecision(3)} outside.`,
        { remedy: 'If it was scaled for a model, denormalize(image, imagenet) turns it back.', details: { outside } },
      )
    return Tensor.own(native().overlay(pixels.handle, asFloat(map).handle, jetTable(), alpha))
  })
}
