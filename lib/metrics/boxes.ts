import { inspect } from 'node:util'
import { GradCamError } from '../base/errors.js'

/** A place in an image, in pixels of the model's input: x and y are the left upper corner. */
export interface Box {
  readonly x: number
  readonly y: number
  readonly w: number
  readonly h: number
}

/** The boxes of each image. */
export function checkBoxes(boxes: unknown, images: number): readonly (readonly Box[])[] {
  if (!Array.isArray(boxes) || boxes.length !== images)
    throw new GradCamError(
      'ERR_INVALID_ARGUMENT',
      `The pointing games want \`boxes\`, an array with the box or boxes of each of the ${images} images.`,
    )
  return boxes.map((given: unknown) => {
    const list: readonly unknown[] = Array.isArray(given) ? given : [given]
    for (const box of list) {
      const { x, y, w, h } = (box ?? {}) as Box
      if (![x, y, w, h].every(Number.isFinite) || !(w > 0 && h > 0))
        throw new GradCamError(
          'ERR_INVALID_ARGUMENT',
          `${inspect(box)} is no box: give { x, y, w, h } in pixels of the input, wider and higher than 0.`,
        )
    }
    if (list.length === 0)
      throw new GradCamError('ERR_INVALID_ARGUMENT', 'An image has no box: leave it out of the pointing games.')
    return list as readonly Box[]
  })
}

/** 1 for the pixels whose middle lies in one of the boxes, or no further than `tolerance` from one; row by row. */
export function pixelsOf(boxes: readonly Box[], height: number, width: number, tolerance = 0): Uint8Array {
  const inside = new Uint8Array(height * width)
  for (const { x, y, w, h } of boxes) {
    const from = Math.max(0, Math.ceil(x - tolerance - 0.5))
    const to = Math.min(width, Math.floor(x + w + tolerance - 0.5) + 1)
    const top = Math.max(0, Math.ceil(y - tolerance - 0.5))
    const bottom = Math.min(height, Math.floor(y + h + tolerance - 0.5) + 1)
    for (let row = top; row < bottom; row++) if (to > from) inside.fill(1, row * width + from, row * width + to)
  }
  return inside
}
