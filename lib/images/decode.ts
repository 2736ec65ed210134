import { cancellable, type CallOptions } from '../addon/abort.js'
import { GradCamError } from '../base/errors.js'
import { refuseLarge, tookTooLong } from './image-limits.js'
import { loadSharp } from './sharp.js'
import { checkSvg, isSvg, renderSvg } from './svg.js'
import { toPixels, type Pixels } from './to-pixels.js'

export type { Pixels } from './to-pixels.js'

/** What an image may ask for at most. */
export interface DecodeLimits {
  readonly maxPixels: number
  readonly decodeSeconds: number
  readonly svg: boolean
}

export interface DecodeOptions extends DecodeLimits {
  background: number | undefined
  /** Called when the header has been read, with the bytes that the pixels will take; waits until they may be allocated. */
  reserve?: (bytes: number) => Promise<void>
}

/**
 * Decodes the bytes of an image file on a thread of libuv's pool: upright by its EXIF orientation, 8 bits per channel,
 * the first frame or page. An SVG is rendered in a process of its own, where it is accepted at all.
 *
 * Throws ERR_IMAGE_CORRUPT, ERR_IMAGE_TOO_LARGE, ERR_IMAGE_TIMEOUT, ERR_IMAGE_SVG.
 */
export async function decode(
  bytes: Uint8Array,
  name: string,
  { maxPixels, decodeSeconds, svg, background, reserve }: DecodeOptions,
  { signal }: CallOptions,
): Promise<Pixels> {
  if (bytes.byteLength === 0)
    throw new GradCamError('ERR_IMAGE_CORRUPT', `${name} is empty.`, { remedy: 'Copy or download it again.' })
  // Before anything parses it.
  const isVector = isSvg(bytes)
  if (isVector && !svg) throw svgRefused(name)
  if (isVector) checkSvg(bytes, name)
  try {
    if (isVector) {
      const pixels = await renderSvg(bytes, name, { maxPixels, decodeSeconds, background, signal })
      await reserve?.(pixels.data.byteLength)
      return pixels
    }
    const sharp = await loadSharp()
    // The header alone, so that an image too large is refused with its size before memory is taken for it.
    const header = await cancellable(signal, () => sharp(bytes, { limitInputPixels: false }).metadata())
    if (header.format === 'svg') throw svgRefused(name)
    refuseLarge(name, header, maxPixels)
    await reserve?.(header.width * header.height * 3)
    const image = sharp(bytes, {
      limitInputPixels: maxPixels,
      autoOrient: true,
      // Pixels that are missing are an error; a decoder's mere warnings are not, as in Pillow.
      failOn: 'error',
      // Models are trained on pixels as Pillow gives them, which does not apply colour profiles. CMYK needs one.
      ignoreIcc: header.space !== 'cmyk',
    }).timeout({ seconds: Math.max(1, Math.ceil(decodeSeconds)) })
    return await cancellable(signal, () => toPixels(image, background))
  } catch (error) {
    if (error instanceof GradCamError || signal?.aborted) throw error
    if ((error as Error).message.startsWith('timeout: ')) throw tookTooLong(name, decodeSeconds)
    throw corrupt(name, error as Error)
  }
}

function svgRefused(name: string): GradCamError {
  return new GradCamError(
    'ERR_IMAGE_SVG',
    `${name} is an SVG, a document that may take any time to render, and is refused unless it is asked for.`,
    { remedy: 'Allow it with the option svg, or convert it to PNG.' },
  )
}

function corrupt(name: string, cause: Error): GradCamError {
  const decoder = cause.message.split('\n')[0] as string
  const [problem, remedy] = decoder.endsWith('unsupported image format')
    ? [
        `${name} is not an image of a supported format, or is cut short.`,
        'JPEG, PNG, WebP, AVIF, GIF and TIFF can be read, and SVG on request: convert it to one of these.',
      ]
    : [
        `${name} is a damaged or incomplete image (${decoder}).`,
        'Copy or download it again, or save it again as PNG or JPEG.',
      ]
  return new GradCamError('ERR_IMAGE_CORRUPT', problem, { remedy, details: { decoder }, cause })
}
