import { defaultMaxPixels } from '../images/index.js'
import { loadSharp } from '../images/sharp.js'

/** A small copy of an image as a data: URL; null where it does not exist or cannot be read any more. */
export async function thumbnail(path: string, pixels: number): Promise<string | null> {
  const sharp = await loadSharp()
  try {
    const bytes = await sharp(path, { limitInputPixels: defaultMaxPixels, autoOrient: true })
      .resize(pixels, pixels, { fit: 'inside', withoutEnlargement: true })
      .removeAlpha()
      .jpeg({ quality: 70 })
      .toBuffer()
    return `data:image/jpeg;base64,${bytes.toString('base64')}`
  } catch {
    return null
  }
}
