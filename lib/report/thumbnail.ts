import { stat } from 'node:fs/promises'
import { GradCamError } from '../base/errors.js'
import { inOneLine } from '../base/one-line.js'
import { decode } from '../images/decode.js'
import { defaultDecodeSeconds } from '../images/load-image.js'
import { notAFile, readSource, sourceName } from '../images/read-source.js'
import { loadSharp } from '../images/sharp.js'

/** A small copy of an image, or why there is none. */
export type Thumbnail =
  | { readonly url: string }
  | {
      /** Whether the image does not exist any more, or cannot be read. */
      readonly missing: 'gone' | 'unreadable'
      readonly reason: string
    }

/**
 * A small copy of an image as a data: URL. It is read and decoded as the images of the job were, so that it shows what was
 * explained, and nothing of another file.
 *
 * @param side of the thumbnail in pixels, the longer one
 * @param maxPixels more are not decoded
 */
export async function thumbnail(path: string, side: number, maxPixels: number): Promise<Thumbnail> {
  try {
    const found = await stat(path).catch(() => null)
    const special = found && notAFile(path, found)
    if (special) throw special
    const bytes = await readSource(path, {})
    // An SVG is in a job only where SVG was asked for.
    const limits = { maxPixels, decodeSeconds: defaultDecodeSeconds, svg: true, background: undefined, within: side }
    const { data, height, width } = await decode(bytes, sourceName(path), limits, {})
    const sharp = await loadSharp()
    const small = await sharp(data, { raw: { height, width, channels: 3 } })
      // What sharp does not decode, e.g. BMP, comes in its full size.
      .resize(side, side, { fit: 'inside', withoutEnlargement: true })
      .jpeg({ quality: 70 })
      .toBuffer()
    return { url: `data:image/jpeg;base64,${small.toString('base64')}` }
  } catch (error) {
    const isGone = error instanceof GradCamError && error.code === 'ERR_IMAGE_NOT_FOUND'
    return { missing: isGone ? 'gone' : 'unreadable', reason: inOneLine(error) }
  }
}
