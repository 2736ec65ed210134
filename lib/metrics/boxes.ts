import { invalid, toList } from '../base/check.js'

/** A box in an image, in pixels of the model's input: x and y are the upper left corner, w and h its width and height. */
export interface BoxXYWH {
  readonly x: number
  readonly y: number
  readonly w: number
  readonly h: number
}

/** The boxes of each image. */
export function checkBoxes(boxes: unknown, images: number): readonly (readonly BoxXYWH[])[] {
  const perImage: readonly unknown[] = toList(boxes) ?? []
  if (perImage.length !== images || images === 0)
    throw invalid('boxes', `an array with the box or boxes of each of the ${images} images`, boxes)
  return perImage.map((given, image) => {
    const list: readonly unknown[] = toList(given) ?? [given]
    if (list.length === 0)
      throw invalid(`boxes[${image}]`, 'a box, or an array of at least one: leave out images that have none', given)
    for (const box of list) {
      const { x, y, w, h } = (box ?? {}) as BoxXYWH
      if (![x, y, w, h].every(Number.isFinite) || !(w > 0 && h > 0))
        throw invalid(`boxes[${image}]`, '{ x, y, w, h } in pixels of the input, with w and h above 0', box)
    }
    return list as readonly BoxXYWH[]
  })
}

/** 1 for the pixels whose middle lies in one of the boxes, or no further than `tolerance` from one; row by row. */
export function pixelsOf(boxes: readonly BoxXYWH[], height: number, width: number, tolerance = 0): Uint8Array {
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
