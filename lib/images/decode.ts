import { cancellable, type CallOptions } from '../addon/abort.js'
import { GradCamError } from '../base/errors.js'
import type { Metadata } from 'sharp'
import { findBitmap } from './bitmap.js'
import type { Pixels } from './pixels.js'
import { loadSharp, type Sharp } from './sharp.js'

export interface DecodeOptions {
  maxPixels: number
  background: number | undefined
  /** Called when the header has been read, with the bytes that the pixels will take; waits until they may be allocated. */
  reserve?: (bytes: number) => Promise<void>
}

/**
 * Decodes the bytes of an image file on a thread of libuv's pool: upright by its EXIF orientation, 8 bits per channel,
 * the first frame or page.
 *
 * Throws ERR_IMAGE_CORRUPT, ERR_IMAGE_TOO_LARGE.
 */
export async function decode(
  bytes: Uint8Array,
  name: string,
  { maxPixels, background, reserve }: DecodeOptions,
  { signal }: CallOptions,
): Promise<Pixels> {
  if (bytes.byteLength === 0)
    throw new GradCamError('ERR_IMAGE_CORRUPT', `${name} is empty.`, { remedy: 'Copy or download it again.' })
  try {
    const bitmap = findBitmap(bytes)
    if (bitmap) {
      refuseLarge(name, bitmap, maxPixels)
      await reserve?.(bitmap.width * bitmap.height * 3)
      return bitmap.read()
    }
    const sharp = await loadSharp()
    // The header alone, so that an image too large is refused with its size before memory is taken for it.
    const header = await cancellable(signal, () => sharp(bytes, { limitInputPixels: false }).metadata())
    refuseLarge(name, header, maxPixels)
    await reserve?.(header.width * header.height * 3)
    const image = sharp(bytes, {
      limitInputPixels: maxPixels,
      autoOrient: true,
      // Pixels that are missing are an error; a decoder's mere warnings are not, as in Pillow.
      failOn: 'error',
      // Models are trained on pixels as Pillow gives them, which does not apply colour profiles. CMYK needs one.
      ignoreIcc: header.space !== 'cmyk',
    })
    if (isDeepGrey(header))
      return await deepGrey(sharp(bytes, { limitInputPixels: maxPixels, autoOrient: true }), signal)
    const level = background === undefined ? 0 : Math.round(background * 255)
    const opaque =
      background === undefined ? image.removeAlpha() : image.flatten({ background: { r: level, g: level, b: level } })
    const { data, info } = await cancellable(signal, () =>
      opaque.toColourspace('srgb').raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true }),
    )
    return { data, height: info.height, width: info.width }
  } catch (error) {
    if (error instanceof GradCamError || signal?.aborted) throw error
    throw corrupt(name, bytes, error as Error)
  }
}

/** Grey of 16 bits: Pillow clips it at 255 where it makes RGB of it, so that is what a model sees in Python. */
function isDeepGrey({ depth, channels, space }: Metadata): boolean {
  return (depth === 'ushort' || depth === 'short') && channels === 1 && /^(b-w|grey16)$/.test(space)
}

async function deepGrey(image: ReturnType<Sharp>, signal: AbortSignal | undefined): Promise<Pixels> {
  const { data: raw, info } = await cancellable(signal, () =>
    image
      .pipelineColourspace('grey16')
      .toColourspace('grey16')
      .raw({ depth: 'ushort' })
      .toBuffer({ resolveWithObject: true }),
  )
  const values = new Uint16Array(raw.buffer, raw.byteOffset, raw.byteLength / 2)
  const data = new Uint8Array(info.width * info.height * 3)
  for (let i = 0; i < info.width * info.height; i++)
    data.fill(Math.min(255, values[i * info.channels] as number), i * 3, i * 3 + 3)
  return { data, height: info.height, width: info.width }
}

function refuseLarge(name: string, { width, height }: { width: number; height: number }, maxPixels: number): void {
  if (width * height <= maxPixels) return
  throw new GradCamError(
    'ERR_IMAGE_TOO_LARGE',
    `${name} has ${width} x ${height} = ${width * height} pixels; more than ${maxPixels} are refused, since a small file ` +
      'may claim to hold more than memory does.',
    {
      remedy: 'Make it smaller, or raise maxPixels if you trust it.',
      details: { width, height, maxPixels },
    },
  )
}

/** Formats that are recognised and not read, by their first bytes. */
function formatOf(bytes: Uint8Array): string | null {
  const start = Buffer.from(bytes.subarray(0, 32)).toString('latin1')
  if (/^....ftyp(heic|heix|hevc|hevx|heim|heis|mif1|msf1)/s.test(start)) return /avif/.test(start) ? null : 'HEIC'
  if (start.startsWith('\0\0\0\x0cjP  ') || start.startsWith('\xff\x4f\xff\x51')) return 'JPEG 2000'
  if (start.startsWith('\0\0\0\x0cJXL ') || start.startsWith('\xff\x0a')) return 'JPEG XL'
  if (start.startsWith('\x76\x2f\x31\x01')) return 'OpenEXR'
  if (start.startsWith('\0\0\x01\0')) return 'an icon (ICO)'
  return null
}

function corrupt(name: string, bytes: Uint8Array, cause: Error): GradCamError {
  const decoder = cause.message.split('\n')[0] as string
  const known = formatOf(bytes)
  const supported = 'JPEG, PNG, WebP, AVIF, GIF, TIFF, SVG, BMP and PNM can be read: convert it to one of these.'
  if (known)
    return new GradCamError('ERR_IMAGE_CORRUPT', `${name} is ${known}, which cannot be read.`, {
      remedy: supported,
      details: { decoder, format: known },
      cause,
    })
  if (decoder.endsWith('is not supported'))
    return new GradCamError('ERR_IMAGE_CORRUPT', `${name} cannot be read: ${decoder}.`, {
      remedy: 'Save it as PNG or JPEG.',
      details: { decoder },
      cause,
    })
  const [problem, remedy] = decoder.endsWith('unsupported image format')
    ? [`${name} is not an image of a supported format, or is cut short.`, supported]
    : [
        `${name} is a damaged or incomplete image (${decoder}).`,
        'Copy or download it again, or save it again as PNG or JPEG.',
      ]
  return new GradCamError('ERR_IMAGE_CORRUPT', problem, { remedy, details: { decoder }, cause })
}
