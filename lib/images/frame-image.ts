import { native } from '../addon/native.js'
import type { Pixels } from './pixels.js'
import { expect, invalid, toList } from '../base/check.js'
import type { Normalization } from './normalization.js'
import type { Size } from '../tensor/interpolate.js'
import { Tensor } from '../tensor/tensor.js'

export type { Size } from '../tensor/interpolate.js'

/** The filters that resizing knows, by Pillow's names; each is antialiased. */
export const resamples = ['bilinear', 'bicubic', 'lanczos'] as const

/** The name of a resampling filter. */
export type Resample = (typeof resamples)[number]

/**
 * How the input of a model was cropped from an image: the image, resized to `resized`, seen through a window of `size` whose
 * top left corner is at `offset` in it. A negative offset means that the image was padded.
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

/**
 * The region of an image that a model saw. A pixel belongs to it where its centre does.
 *
 * @param size of the image, [height, width]
 * @throws GradCamError ERR_INVALID_ARGUMENT
 */
export function seenRegion(size: Size, framing: Framing): Region {
  const [height, width] = expect.size('size', size)
  const { resized, offset, window } = checkFraming(framing)
  const first = (edge: number, pixels: number, to: number): number =>
    Math.min(pixels, Math.max(0, Math.ceil((edge * pixels) / to - 0.5)))
  return {
    top: first(offset[0], height, resized[0]),
    left: first(offset[1], width, resized[1]),
    bottom: first(offset[0] + window[0], height, resized[0]),
    right: first(offset[1] + window[1], width, resized[1]),
  }
}

function checkFraming(framing: Framing): Pick<Framing, 'resized' | 'offset'> & { readonly window: Size } {
  const { resized, offset, size } = expect.options(framing, 'framing')
  const list = toList(offset)
  if (list?.length !== 2 || !list.every((n) => Number.isSafeInteger(n)))
    throw invalid('framing.offset', '[top, left] in whole pixels', offset)
  return {
    resized: expect.size('framing.resized', resized),
    offset: list as unknown as readonly [number, number],
    window: expect.size('framing.size', size),
  }
}

const tables = new WeakMap<FrameOptions, Float32Array>()

/**
 * Resizes, crops and scales an image for a model, on the executor thread of images. The bytes before scaling are exactly
 * those that Pillow, and so torchvision on a PIL image, computes.
 *
 * @returns float32 planes [3, height, width] of `framing.size`, for the caller to dispose
 */
export async function frameImage(image: Pixels, framing: Framing, options: FrameOptions): Promise<Tensor> {
  return await frame([image], framing, options, false)
}

/**
 * The same for the grey of each page, as Pillow's `convert('L')` makes it before the image is resized.
 *
 * @param pages all of one size; `options` has as many means and deviations
 * @returns float32 planes [pages, height, width] of `framing.size`, for the caller to dispose
 */
export async function frameGrey(pages: readonly Pixels[], framing: Framing, options: FrameOptions): Promise<Tensor> {
  return await frame(pages, framing, options, true)
}

async function frame(
  pages: readonly Pixels[],
  framing: Framing,
  options: FrameOptions,
  grey: boolean,
): Promise<Tensor> {
  const { resample, fill } = options
  const { height, width } = pages[0]!
  const data = pages.map((page) => page.data)
  return Tensor.own(await native().frameImage(data, [height, width], framing, resample, fill, tableOf(options), grey))
}

/** The value of each byte of each channel, rounded after each step as LibTorch rounds `(byte / 255 - mean) / std`. */
function tableOf(options: FrameOptions): Float32Array {
  const known = tables.get(options)
  if (known) return known
  const table = new Float32Array(options.mean.length * 256)
  for (const [channel, value] of options.mean.entries()) {
    const mean = Math.fround(value)
    const std = Math.fround(options.std[channel] as number)
    for (let byte = 0; byte < 256; byte++)
      table[channel * 256 + byte] = Math.fround(Math.fround(byte / 255) - mean) / std
  }
  tables.set(options, table)
  return table
}
