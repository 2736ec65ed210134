// What libvips converts to RGB otherwise than Pillow does, whose pixels models are trained on.
import type { Metadata, Sharp } from 'sharp'
import type { Pixels } from './pixels.js'
import { grey, sameTables, unpack } from './unpack.js'

/** Grey of 16 bits: Pillow clips it at 255 where it makes RGB of it, so that is what a model sees in Python. */
export function isDeepGrey({ depth, channels, space }: Metadata): boolean {
  return (depth === 'ushort' || depth === 'short') && channels === 1 && /^(b-w|grey16)$/.test(space)
}

/** Such an image as RGB. */
export async function deepGrey(image: Sharp): Promise<Pixels> {
  const { data, info } = await image
    .pipelineColourspace('grey16')
    .toColourspace('grey16')
    .raw({ depth: 'ushort' })
    .toBuffer({ resolveWithObject: true })
  const tables = sameTables(16, (value) => Math.min(255, value))
  return await unpack(data, rowsOf(info, 2), {
    kind: 'samples',
    bits: 16,
    bigEndian: false,
    perPixel: info.channels,
    of: grey,
    tables,
  })
}

/** The inks of print, 8 bits each: Pillow takes no colour profile to make RGB of them. */
export function isCmyk({ depth, space }: Metadata): boolean {
  return space === 'cmyk' && depth === 'uchar'
}

/** Such an image as RGB, by Pillow's formula: what each ink leaves of the light that black leaves. */
export async function cmykPixels(image: Sharp): Promise<Pixels> {
  const { data, info } = await image
    .pipelineColourspace('cmyk')
    .toColourspace('cmyk')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true })
  return await unpack(data, rowsOf(info, 1), { kind: 'inks', perPixel: info.channels })
}

const rowsOf = (
  { height, width, channels }: { readonly height: number; readonly width: number; readonly channels: number },
  bytes: number,
) => ({ start: 0, stride: width * channels * bytes, bottomUp: false, height, width })
