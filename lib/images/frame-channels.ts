import { GradCamError } from '../base/errors.js'
import { frameGrey, frameImage, type FrameOptions, type Framing } from './frame-image.js'
import type { Pixels } from './pixels.js'
import type { Tensor } from '../tensor/tensor.js'

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
  return await frameGrey(pages, framing, options)
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
