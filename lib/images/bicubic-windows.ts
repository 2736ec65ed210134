/** The source pixels, from `start` on, that make one pixel of the result, with the weight of each. */
export interface Window {
  readonly start: number
  readonly weights: Float64Array
}

/** Pillow computes in whole multiples of this, and so do we: a sum then rounds to the same byte. */
const unit = 2 ** -22

/**
 * For every pixel along one axis of the result its window, as Pillow's antialiased bicubic `Image.resize` has it: the
 * filter grows with the scale when the image shrinks, and weights at the border are stretched to add up to 1.
 *
 * @param from the pixels of the source along that axis
 * @param to those of the result
 */
export function bicubicWindows(from: number, to: number): Window[] {
  const scale = from / to
  const stretch = Math.max(scale, 1)
  return Array.from({ length: to }, (_, pixel) => {
    const centre = (pixel + 0.5) * scale
    const start = Math.max(0, Math.trunc(centre - 2 * stretch + 0.5))
    const end = Math.min(from, Math.trunc(centre + 2 * stretch + 0.5))
    const weights = Float64Array.from({ length: end - start }, (__, i) => cubic((start + i - centre + 0.5) / stretch))
    const sum = weights.reduce((total, weight) => total + weight, 0)
    return { start, weights: weights.map((weight) => roundAway(weight / sum / unit) * unit) }
  })
}

/** Keys's cubic with a = -1/2, which is 0 from 2 on. */
function cubic(distance: number): number {
  const x = Math.abs(distance)
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0
}

/** Rounded to the nearest integer, halves away from 0. */
function roundAway(x: number): number {
  return Math.trunc(x + Math.sign(x) * 0.5)
}
