import { expect, invalid, toList } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { readPreprocess, type Preprocess, type Size } from './preprocess.js'

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

/** A longer resized image cannot be meant: e.g. one pixel high, a million wide, and upsampled. */
const longest = 2 ** 30

/**
 * How an image of that size is framed.
 *
 * @param size of the image, [height, width]
 * @throws GradCamError ERR_SHAPE, ERR_INVALID_ARGUMENT
 */
export function framingOf(size: Size, preprocess: Preprocess): Framing {
  const [height, width] = expect.size('size', size)
  const { resize, crop } = readPreprocess(preprocess)
  const resized = resizedTo(height, width, resize)
  if (Math.max(...resized) > longest)
    throw new GradCamError(
      'ERR_SHAPE',
      `An image of ${width} x ${height} pixels would be ${resized[1]} x ${resized[0]} when it is resized: it is too narrow ` +
        'for this preprocessing.',
      { remedy: 'Crop it, or resize to [height, width].' },
    )
  const window = crop ?? resized
  return { resized, offset: [cropStart(resized[0], window[0]), cropStart(resized[1], window[1])], size: window }
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
  const list: readonly unknown[] = toList(offset) ?? []
  if (list.length !== 2 || !list.every((n) => Number.isSafeInteger(n)))
    throw invalid('framing.offset', '[top, left] in whole pixels', offset)
  const window = expect.size('framing.size', size)
  return {
    resized: expect.size('framing.resized', resized),
    offset: list as unknown as readonly [number, number],
    window,
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
