import { native } from '../addon/native.js'
import type { Pixels } from './decode.js'
import type { Normalization } from './normalization.js'

/** [height, width] in pixels. */
export type Size = readonly [height: number, width: number]

/** The filters that resizing knows, by Pillow's names; each is antialiased. */
export const resamples = ['bilinear', 'bicubic', 'lanczos'] as const

/** The name of a resampling filter. */
export type Resample = (typeof resamples)[number]

/**
 * How the input of a model was cut out of an image: the image, resized to `resized`, seen through a window of `size` whose
 * top left corner is at `offset` in it. A negative offset means that something was put around the image.
 */
export interface Framing {
  readonly resized: Size
  readonly offset: readonly [top: number, left: number]
  readonly size: Size
}

/** The part of an image that a model saw, in pixels of the image; ends are not included. */
export interface Region {
  readonly top: number
  readonly left: number
  readonly bottom: number
  readonly right: number
}

/** What happens to the pixels of a framed image. */
export interface FrameOptions extends Normalization {
  readonly resample: Resample
  /** Red, green and blue, 0 to 255, where the window reaches beyond the image. */
  readonly fill: readonly [number, number, number]
}

/** Where an image's pixels lie that a model saw. A pixel counts where its centre does. */
export function seenRegion([height, width]: Size, { resized, offset, size }: Framing): Region {
  const first = (edge: number, pixels: number, to: number): number =>
    Math.min(pixels, Math.max(0, Math.ceil((edge * pixels) / to - 0.5)))
  return {
    top: first(offset[0], height, resized[0]),
    left: first(offset[1], width, resized[1]),
    bottom: first(offset[0] + size[0], height, resized[0]),
    right: first(offset[1] + size[1], width, resized[1]),
  }
}

const tables = new WeakMap<FrameOptions, Float32Array>()

/**
 * Resizes, cuts and scales an image for a model, on the executor thread of images. The bytes before scaling are exactly
 * those that Pillow, and so torchvision on a PIL image, computes.
 *
 * @returns float32 planes [3, height, width] of `framing.size`
 */
export async function frameImage(
  { data, height, width }: Pixels,
  framing: Framing,
  options: FrameOptions,
): Promise<Float32Array> {
  const planes = new Float32Array(3 * framing.size[0] * framing.size[1])
  const { resample, fill } = options
  await native().frameImage(data, [height, width], framing, resample, fill, tableOf(options), planes)
  return planes
}

/** What each byte of each channel becomes, rounded after each step as LibTorch rounds `(byte / 255 - mean) / std`. */
function tableOf(options: FrameOptions): Float32Array {
  const known = tables.get(options)
  if (known) return known
  const table = new Float32Array(3 * 256)
  for (let channel = 0; channel < 3; channel++) {
    const mean = Math.fround(options.mean[channel] as number)
    const std = Math.fround(options.std[channel] as number)
    for (let byte = 0; byte < 256; byte++)
      table[channel * 256 + byte] = Math.fround(Math.fround(byte / 255) - mean) / std
  }
  tables.set(options, table)
  return table
}
