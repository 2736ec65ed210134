import type { Sharp as SharpImage } from 'sharp'
import type { Pixels } from './pixels.js'

/** Red, green and blue of each pixel, in 8 bits, without transparency: see `background` of `loadImage`. */
export async function toPixels(image: SharpImage, background: number | undefined): Promise<Pixels> {
  const level = background === undefined ? 0 : Math.round(background * 255)
  const opaque =
    background === undefined ? image.removeAlpha() : image.flatten({ background: { r: level, g: level, b: level } })
  const { data, info } = await opaque
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true })
  return { data, height: info.height, width: info.width }
}
