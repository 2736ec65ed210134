// What libvips converts to RGB otherwise than Pillow does, whose pixels models are trained on.
import type { Metadata, Sharp } from 'sharp'
import type { Pixels } from './pixels.js'

/** Grey of 16 bits: Pillow clips it at 255 where it makes RGB of it, so that is what a model sees in Python. */
export function isDeepGrey({ depth, channels, space }: Metadata): boolean {
  return (depth === 'ushort' || depth === 'short') && channels === 1 && /^(b-w|grey16)$/.test(space)
}

/** Such an image as RGB. */
export async function deepGrey(image: Sharp): Promise<Pixels> {
  const { data: raw, info } = await image
    .pipelineColourspace('grey16')
    .toColourspace('grey16')
    .raw({ depth: 'ushort' })
    .toBuffer({ resolveWithObject: true })
  const values = new Uint16Array(raw.buffer, raw.byteOffset, raw.byteLength / 2)
  const data = new Uint8Array(info.width * info.height * 3)
  for (let i = 0; i < info.width * info.height; i++)
    data.fill(Math.min(255, values[i * info.channels] as number), i * 3, i * 3 + 3)
  return { data, height: info.height, width: info.width }
}

/** The inks of print, 8 bits each: Pillow takes no colour profile to make RGB of them. */
export function isCmyk({ depth, space }: Metadata): boolean {
  return space === 'cmyk' && depth === 'uchar'
}

/** Such an image as RGB, by Pillow's formula: what each ink leaves of the light that black leaves. */
export async function cmykPixels(image: Sharp): Promise<Pixels> {
  const { data: inks, info } = await image
    .pipelineColourspace('cmyk')
    .toColourspace('cmyk')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true })
  const data = new Uint8Array(info.width * info.height * 3)
  for (let i = 0; i < info.width * info.height; i++) {
    const at = i * info.channels
    const light = 255 - (inks[at + 3] as number)
    for (let ink = 0; ink < 3; ink++) {
      const product = (inks[at + ink] as number) * light + 128
      data[i * 3 + ink] = Math.max(0, light - ((product + (product >> 8)) >> 8))
    }
  }
  return { data, height: info.height, width: info.width }
}
