import { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import type { Pixels } from './pixels.js'

/**
 * An array as an image to draw a map over: three channels as red, green and blue, others as the grey of their mean, min-max
 * normalised.
 *
 * @param input [1, C, H, W]
 */
export function pixelsOfTensor(input: Tensor): Pixels {
  const [, channels, height, width] = input.shape as [number, number, number, number]
  using levels = tidy(() => {
    const values = input.detach().to({ device: 'cpu', dtype: 'float32' }).squeeze(0)
    const shown = channels === 3 ? values : values.mean([0], true).expand([3, height, width])
    const low = shown.amin([0, 1, 2])
    const range = shown.amax([0, 1, 2]).sub(low)
    const scaled = range.item() > 0 ? shown.sub(low).div(range) : shown.mul(0)
    return scaled.mul(255).round().permute([1, 2, 0]).contiguous()
  })
  return { data: Uint8Array.from(levels.toTypedArray() as Float32Array), height, width }
}
