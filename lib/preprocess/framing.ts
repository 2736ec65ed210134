import { GradCamError } from '../base/errors.js'
import type { Preprocess, Size } from './preprocess.js'

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

/** Beyond this no resized image can be meant: one pixel high, a million wide, and enlarged. */
const longest = 2 ** 30

/** How an image of that size is framed. */
export function framingOf([height, width]: Size, { resize, crop }: Preprocess): Framing {
  const resized = resizedTo(height, width, resize)
  if (Math.max(...resized) > longest)
    throw new GradCamError(
      'ERR_SHAPE',
      `An image of ${width} x ${height} pixels would be ${resized[1]} x ${resized[0]} when it is resized. ` +
        'It is too narrow for this preprocessing: cut it, or resize to [height, width].',
    )
  const size = crop ?? resized
  return { resized, offset: [cropStart(resized[0], size[0]), cropStart(resized[1], size[1])], size }
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

function resizedTo(height: number, width: number, resize: Preprocess['resize']): Size {
  if (resize === null) return [height, width]
  if (typeof resize === 'number') {
    const longer = Math.trunc((resize * Math.max(height, width)) / Math.min(height, width))
    return width <= height ? [longer, resize] : [resize, longer]
  }
  if ('cover' in resize || 'fit' in resize) {
    const [toHeight, toWidth] = 'cover' in resize ? resize.cover : resize.fit
    const ratios = [height / toHeight, width / toWidth]
    const ratio = 'cover' in resize ? Math.min(...ratios) : Math.max(...ratios)
    return [Math.max(1, roundHalfEven(height / ratio)), Math.max(1, roundHalfEven(width / ratio))]
  }
  return resize
}

/** Where torchvision's CenterCrop starts; below 0 for what it puts before an image that is too small. */
function cropStart(from: number, to: number): number {
  return to > from ? -Math.floor((to - from) / 2) : roundHalfEven((from - to) / 2)
}

/** As Python's round(): a half goes to the even neighbour. */
function roundHalfEven(x: number): number {
  const floor = Math.floor(x)
  return x - floor === 0.5 ? floor + (floor % 2) : Math.round(x)
}
