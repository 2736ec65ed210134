import { cancellable, type CallOptions } from '../addon/abort.js'
import { GradCamError } from '../base/errors.js'
import { loadSharp } from './sharp.js'

/** A decoded image: red, green and blue of each pixel, row by row from the top. */
export interface Pixels {
  readonly data: Uint8Array
  readonly height: number
  readonly width: number
}

export interface DecodeOptions {
  maxPixels: number
  background: number | undefined
  /** The most pixels a side: larger images are made smaller as they are decoded, which takes less time and memory. */
  within?: number
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
  { maxPixels, background, within, reserve }: DecodeOptions,
  { signal }: CallOptions,
): Promise<Pixels> {
  if (bytes.byteLength === 0)
    throw new GradCamError('ERR_IMAGE_CORRUPT', `${name} is empty.`, { remedy: 'Copy or download it again.' })
  const sharp = await loadSharp()
  try {
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
    if (within !== undefined) image.resize(within, within, { fit: 'inside', withoutEnlargement: true })
    const level = background === undefined ? 0 : Math.round(background * 255)
    const opaque =
      background === undefined ? image.removeAlpha() : image.flatten({ background: { r: level, g: level, b: level } })
    const { data, info } = await cancellable(signal, () =>
      opaque.toColourspace('srgb').raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true }),
    )
    return { data, height: info.height, width: info.width }
  } catch (error) {
    if (error instanceof GradCamError || signal?.aborted) throw error
    throw corrupt(name, error as Error)
  }
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

function corrupt(name: string, cause: Error): GradCamError {
  const decoder = cause.message.split('\n')[0] as string
  const [problem, remedy] = decoder.endsWith('unsupported image format')
    ? [
        `${name} is not an image of a supported format, or is cut short.`,
        'JPEG, PNG, WebP, AVIF, GIF, TIFF and SVG can be read: convert it to one of these.',
      ]
    : [
        `${name} is a damaged or incomplete image (${decoder}).`,
        'Copy or download it again, or save it again as PNG or JPEG.',
      ]
  return new GradCamError('ERR_IMAGE_CORRUPT', problem, { remedy, details: { decoder }, cause })
}
