import { expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import type { Framing, Size } from '../images/frame-image.js'
import { readPreprocess, type Preprocess } from './preprocess.js'

export { seenRegion, type Framing, type Region } from '../images/frame-image.js'

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
