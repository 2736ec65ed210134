import { GradCamError } from '../base/errors.js'
import { frameImage, type FrameOptions, type Framing } from './frame-image.js'
import type { Pixels } from './pixels.js'
import { Tensor } from '../tensor/tensor.js'

/**
 * Frames an image for a model of any number of channels: red, green and blue for 3; for 1 the grey that Pillow's
 * `convert('L')` makes; for others the pages of a TIFF, each as grey.
 *
 * @param image with its name, for errors, and the channels that the model takes
 * @param options mean and deviation of each channel; see {@link scalesOf}
 * @returns float32 planes [channels, height, width] of `framing.size`, for the caller to dispose
 * @throws GradCamError ERR_CHANNELS for an image that has not as many pages
 */
export async function frameChannels(
  { image, channels, name }: { readonly image: Pixels; readonly channels: number; readonly name: string },
  framing: Framing,
  options: FrameOptions,
): Promise<Tensor> {
  if (channels === 3) return await frameImage(image, framing, options)
  const pages = channels === 1 ? [image] : (image.pages ?? [])
  if (pages.length !== channels)
    throw new GradCamError(
      'ERR_CHANNELS',
      `The model takes ${channels} channels, and ${name} is one image of red, green and blue${pages.length > 1 ? ` in ${pages.length} pages` : ''}.`,
      { remedy: `Give a TIFF of ${channels} pages, or an array [${channels}, H, W] that numpy.save wrote (.npy).` },
    )
  const planes: Tensor[] = []
  try {
    for (const [channel, page] of pages.entries()) planes.push(await frameGrey(page, channel, framing, options))
    return Tensor.cat(planes)
  } finally {
    for (const plane of planes) plane.dispose()
  }
}

/** One plane, [1, height, width]. */
async function frameGrey(page: Pixels, channel: number, framing: Framing, options: FrameOptions): Promise<Tensor> {
  const pick = (of: readonly number[]): number[] => Array.from({ length: 3 }, () => of[channel] as number)
  const fill = [luma(options.fill), 0, 0] as const
  const own = { ...options, fill, mean: pick(options.mean), std: pick(options.std) }
  using planes = await frameImage(toGrey(page), framing, own)
  // A plane of its own, which does not keep the other two.
  using first = planes.slice(0, 0, 1)
  return first.clone()
}

/** ITU-R 601-2 luma in Pillow's fixed-point numbers. */
const luma = ([red, green, blue]: ArrayLike<number> & Iterable<number>): number =>
  (19_595 * red! + 38_470 * green! + 7_471 * blue! + 0x8000) >>> 16

/** Pillow's `convert('L')` in all three channels. */
function toGrey({ data, height, width }: Pixels): Pixels {
  const grey = new Uint8Array(data.length)
  for (let at = 0; at < data.length; at += 3) grey.fill(luma(data.subarray(at, at + 3)), at, at + 3)
  return { data: grey, height, width }
}

/**
 * Mean and deviation of each of a model's channels. One number goes for all. Where there is another number of them than the
 * model has channels, as ImageNet's for a model of grey images, the image is not scaled and stays from 0 to 1.
 */
export function scalesOf<Options extends FrameOptions>(options: Options, channels: number): Options {
  const each = (values: readonly number[]): readonly number[] | null =>
    values.length === channels
      ? values
      : values.length === 1
        ? Array.from({ length: channels }, () => values[0]!)
        : null
  const mean = each(options.mean)
  const std = each(options.std)
  if (mean && std) return mean === options.mean && std === options.std ? options : { ...options, mean, std }
  return { ...options, mean: Array.from({ length: channels }, () => 0), std: Array.from({ length: channels }, () => 1) }
}

/** Whether the numbers are for a model of that many channels: see {@link scalesOf}. */
export const fitsChannels = ({ mean, std }: Pick<FrameOptions, 'mean' | 'std'>, channels: number): boolean =>
  [mean, std].every(({ length }) => length === channels || length === 1)
