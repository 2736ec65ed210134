import { cancellable, type CallOptions } from '../addon/abort.js'
import { GradCamError } from '../base/errors.js'
import type { Sharp as SharpImage } from 'sharp'
import { findBitmap } from './bitmap.js'
import { cmykPixels, deepGrey, isCmyk, isDeepGrey } from './as-pillow.js'
import { refuseLarge, tookTooLong } from './image-limits.js'
import type { Pixels } from './pixels.js'
import { loadSharp } from './sharp.js'
import { checkSvg, isSvg, renderSvg } from './svg.js'
import { toPixels } from './to-pixels.js'

/** What an image may ask for at most. */
export interface DecodeLimits {
  readonly maxPixels: number
  readonly decodeSeconds: number
  readonly svg: boolean
}

export interface DecodeOptions extends DecodeLimits {
  background: number | undefined
  /** Whether all pages of a TIFF are decoded, and not the first alone. */
  pages?: boolean
  /** The most pixels a side: larger images are made smaller as they are decoded, which takes less time and memory. */
  within?: number
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
  { maxPixels, decodeSeconds, svg, background, within, reserve, pages = false }: DecodeOptions,
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
    const bitmap = findBitmap(bytes)
    if (bitmap) {
      refuseLarge(name, bitmap, maxPixels)
      await reserve?.(bitmap.width * bitmap.height * 3)
      return await cancellable(signal, () => bitmap.read())
    }
    const sharp = await loadSharp()
    // The header alone, so that an image too large is refused with its size before memory is taken for it.
    const header = await cancellable(signal, () => sharp(bytes, { limitInputPixels: false }).metadata())
    if (header.format === 'svg') throw svgRefused(name)
    refuseLarge(name, header, maxPixels)
    const count = pages && header.format === 'tiff' ? (header.pages ?? 1) : 1
    if (count > mostPages) throw tooManyPages(name, count)
    await reserve?.(header.width * header.height * 3 * count)
    const open = (page: number) =>
      sharp(bytes, {
        page,
        limitInputPixels: maxPixels,
        autoOrient: true,
        // Pixels that are missing are an error; a decoder's mere warnings are not, as in Pillow.
        failOn: 'error',
        // Models are trained on pixels as Pillow gives them, which does not apply colour profiles.
        ignoreIcc: true,
      })
    const image = open(0)
    if (within !== undefined) image.resize(within, within, { fit: 'inside', withoutEnlargement: true })
    const timeout = { seconds: Math.max(1, Math.ceil(decodeSeconds)) }
    const pixelsOf = (one: SharpImage) => (isCmyk(header) ? cmykPixels(one) : toPixels(one, background))
    if (count > 1) {
      if (isDeepGrey(header)) throw deepPages(name)
      const all: Pixels[] = []
      for (let page = 0; page < count; page++)
        all.push(await cancellable(signal, () => pixelsOf(open(page).timeout(timeout))))
      const [first] = all as [Pixels]
      if (all.some(({ height, width }) => height !== first.height || width !== first.width)) throw unevenPages(name)
      return { ...first, pages: all }
    }
    if (isDeepGrey(header)) {
      const grey = sharp(bytes, { limitInputPixels: maxPixels, autoOrient: true }).timeout(timeout)
      if (within !== undefined) grey.resize(within, within, { fit: 'inside', withoutEnlargement: true })
      return await cancellable(signal, () => deepGrey(grey))
    }
    return await cancellable(signal, () => pixelsOf(image.timeout(timeout)))
  } catch (error) {
    if (error instanceof GradCamError || signal?.aborted) throw error
    if ((error as Error).message.startsWith('timeout: ')) throw tookTooLong(name, decodeSeconds)
    throw corrupt(name, bytes, error as Error)
  }
}

/** More channels than any model takes that is given them as pages. */
const mostPages = 1024

function tooManyPages(name: string, count: number): GradCamError {
  const problem = `${name} has ${count} pages; at most ${mostPages} are read as channels.`
  return new GradCamError('ERR_IMAGE_TOO_LARGE', problem, { remedy: 'Save what the model takes as .npy.' })
}

function deepPages(name: string): GradCamError {
  const problem = `${name} has several pages of 16 bits, and nothing says which number of them is 1 for the model.`
  return new GradCamError('ERR_IMAGE_CORRUPT', problem, { remedy: 'Scale it and save it with numpy.save (.npy).' })
}

function unevenPages(name: string): GradCamError {
  const problem = `The pages of ${name} are not of one size, so they are not the channels of one image.`
  return new GradCamError('ERR_IMAGE_CORRUPT', problem, { remedy: 'Resize them to one size first.' })
}

function svgRefused(name: string): GradCamError {
  return new GradCamError(
    'ERR_IMAGE_SVG',
    `${name} is an SVG, a document that may take any time to render, and is refused unless it is asked for.`,
    { remedy: 'Allow it with the option svg, or convert it to PNG.' },
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
  const supported =
    'JPEG, PNG, WebP, AVIF, GIF, TIFF, BMP and PNM can be read, and SVG on request: convert it to one of these.'
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
