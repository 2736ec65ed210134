import { expect, invalid, toList } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { checkTensor, Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'

/** Mean and standard deviation of each channel, of pixels in [0, 1], with which a model's training images were scaled. */
export interface Normalization {
  readonly mean: readonly number[]
  readonly std: readonly number[]
}

/** What torchvision's models trained on ImageNet expect. */
export const imagenet: Normalization = Object.freeze({
  mean: Object.freeze([0.485, 0.456, 0.406]),
  std: Object.freeze([0.229, 0.224, 0.225]),
})

/**
 * Scales images for a model: `(tensor - mean) / std`, as `loadImage` with the option `normalize` does.
 *
 * @param tensor [N, C, H, W] in [0, 1], floating point
 * @returns the same shape
 * @throws GradCamError ERR_SHAPE when there is not one mean and std for each channel, ERR_INVALID_ARGUMENT
 */
export function standardize(tensor: Tensor, normalization: Normalization): Tensor {
  const checked = checkNormalization(normalization, checkTensor('tensor', tensor).shape)
  return tidy(() => {
    const { mean, std } = perChannel(checked, tensor.device)
    return tensor.sub(mean).div(std)
  })
}

/**
 * Turns images scaled for a model back into ones to look at: `tensor * std + mean`.
 *
 * @param tensor [N, C, H, W], floating point
 * @returns the same shape, in [0, 1] where the images came from `loadImage` with this normalization
 * @throws GradCamError ERR_SHAPE when there is not one mean and std for each channel, ERR_INVALID_ARGUMENT
 */
export function denormalize(tensor: Tensor, normalization: Normalization): Tensor {
  const checked = checkNormalization(normalization, checkTensor('tensor', tensor).shape)
  return tidy(() => {
    const { mean, std } = perChannel(checked, tensor.device)
    return tensor.mul(std).add(mean)
  })
}

/** Refuses a normalization that cannot be applied to images of `shape`; returns a copy of it. */
export function checkNormalization(normalization: Normalization, shape: readonly (number | null)[]): Normalization {
  const { mean, std } = expect.options(normalization, 'normalization')
  const means = numbers('normalization.mean', mean, 'finite numbers', () => true)
  const deviations = numbers('normalization.std', std, 'finite numbers above 0', (value) => value > 0)
  const channels = shape.length === 4 ? shape[1] : undefined
  if (means.length !== channels || deviations.length !== channels)
    throw new GradCamError(
      'ERR_SHAPE',
      `${means.length} means and ${deviations.length} standard deviations do not fit an image of shape ` +
        `[${shape.map((size) => size ?? '?').join(', ')}].`,
      { remedy: 'Give one of each for every channel of [N, C, H, W].' },
    )
  return { mean: means, std: deviations }
}

function numbers(name: string, value: unknown, expected: string, fits: (value: number) => boolean): number[] {
  const list = toList(value)
  const good = list?.every((item) => typeof item === 'number' && Number.isFinite(item) && fits(item))
  if (!good) throw invalid(name, `an array of ${expected}, one for each channel`, value)
  return list as number[]
}

/** The numbers as float32 [1, C, 1, 1], which broadcast over images. */
export function perChannel({ mean, std }: Normalization, device: string): { mean: Tensor; std: Tensor } {
  const shape = [1, mean.length, 1, 1]
  return { mean: Tensor.from(mean, shape, { device }), std: Tensor.from(std, shape, { device }) }
}
