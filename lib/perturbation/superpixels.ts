import { setImmediate } from 'node:timers/promises'
import type { CallOptions } from '../addon/abort.js'
import { expect, invalid } from '../base/check.js'
import { checkTensorShape, Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import { slic, type Planes } from './slic.js'

/** How {@link superpixels} divides an image. */
export interface SuperpixelOptions extends CallOptions {
  /** About how many; 50 by default. */
  readonly segments?: number
  /** How compact they are: how much position weighs beside colour. 10 by default, as scikit-image. */
  readonly compactness?: number
  /** How often the clusters are moved at most, up to 1000; 10 by default. */
  readonly iterations?: number
}

/** More change nothing that an eye could see. */
const mostIterations = 1000

/** One iteration over more pixels would block the event loop for seconds. */
const mostPixels = 2 ** 23

/** sRGB in [0, 1] to CIELAB with the white of D65, in place: IEC 61966-2-1 and CIE 15. */
function toLab({ data, height, width }: Planes): void {
  const pixels = height * width
  const linear = (value: number) => (value > 0.04045 ? ((value + 0.055) / 1.055) ** 2.4 : value / 12.92)
  const curve = (value: number) => (value > 216 / 24389 ? Math.cbrt(value) : (value * 24389) / 27 / 116 + 16 / 116)
  for (let i = 0; i < pixels; i++) {
    const [r, g, b] = [0, 1, 2].map((c) => linear(data[c * pixels + i] as number)) as [number, number, number]
    const x = curve((0.412453 * r + 0.35758 * g + 0.180423 * b) / 0.95047)
    const y = curve(0.212671 * r + 0.71516 * g + 0.072169 * b)
    const z = curve((0.019334 * r + 0.119193 * g + 0.950227 * b) / 1.08883)
    data[i] = 116 * y - 16
    data[pixels + i] = 500 * (x - y)
    data[2 * pixels + i] = 200 * (y - z)
  }
}

/** Min-max normalised as a whole, as a normalised image has no colours of its own; in CIELAB where it has three channels. */
function planesOf(image: Tensor): Planes {
  const [channels, height, width] = image.shape as [number, number, number]
  const data = Float64Array.from(image.toTypedArray() as Float32Array)
  let [least, most] = [Infinity, -Infinity]
  for (const value of data) {
    least = Math.min(least, value)
    most = Math.max(most, value)
  }
  const range = most - least
  for (let i = 0; i < data.length; i++) data[i] = range > 0 ? ((data[i] as number) - least) / range : 0
  const planes = { data, channels, height, width }
  if (channels === 3) toLab(planes)
  // Of the same range as the lightness of CIELAB.
  else for (let i = 0; i < data.length; i++) data[i]! *= 100
  return planes
}

/**
 * Divides images into superpixels, as features for feature ablation, LIME, KernelSHAP and Shapley value sampling: parts that are
 * connected and of one colour. SLIC, Achanta et al. 2012, doi:10.1109/TPAMI.2012.120, in CIELAB for images of three channels.
 *
 * @param images [N, C, H, W] of floating-point numbers, normalised or not: each is scaled to [0, 1] first
 * @returns [N, 1, H, W] int64, the superpixels of each image numbered from 0 on, for the caller to dispose
 * @throws GradCamError ERR_SHAPE, ERR_DTYPE, ERR_INVALID_ARGUMENT; ERR_ABORTED by its signal
 */
export async function superpixels(images: Tensor, options: SuperpixelOptions = {}): Promise<Tensor> {
  checkTensorShape('images', images, '[N, C, H, W]', (shape) => shape.length === 4 && shape.every((size) => size > 0))
  if (!/float/.test(images.dtype))
    throw invalid('images', 'a Tensor of floating-point numbers', images.dtype, { code: 'ERR_DTYPE' })
  const { segments = 50, compactness = 10, iterations = 10, signal } = expect.options(options)
  expect.signal(signal)
  expect.count('segments', segments)
  expect.number('compactness', compactness, { above: 0 })
  expect.integer('iterations', iterations, { min: 1, max: mostIterations })
  const [count, , height, width] = images.shape as [number, number, number, number]
  if (height * width > mostPixels) throw invalid('images', `images of at most ${mostPixels} pixels`, images.shape)
  const labels = new BigInt64Array(count * height * width)
  using own = tidy(() => images.detach().to({ dtype: 'float64', device: 'cpu' }))
  for (let n = 0; n < count; n++) {
    using image = own.select(0, n)
    const found = await slic(planesOf(image), { segments, compactness, iterations }, async () => {
      await setImmediate()
      if (signal?.aborted) throw signal.reason
    })
    labels.set(Array.from(found, BigInt), n * height * width)
  }
  return Tensor.from(labels, [count, 1, height, width])
}
