import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { GradCamError } from '../base/errors.js'
import type { Tensor } from '../tensor/tensor.js'
import { encodeImage, imageFormats, type EncodeOptions, type ImageFormat } from './encode-image.js'
import { replaceFile } from './replace-file.js'

/** How {@link saveImage} writes. */
export interface SaveImageOptions extends EncodeOptions {
  /** By default what the path's extension says, and png where it has none. */
  format?: ImageFormat
}

/**
 * Writes an image or map to a file, whole or not at all: whoever reads the path sees the old file or the new one.
 *
 * @param tensor [1, C, H, W], [C, H, W] or [H, W] in [0, 1], C is 1 or 3; see {@link encodeImage}
 * @param path ending in .png, .jpg, .jpeg, .webp, .avif, .tif, .tiff, .gif, or nothing
 * @throws GradCamError ERR_IMAGE_WRITE, ERR_SHAPE, ERR_DTYPE, ERR_INVALID_ARGUMENT
 */
export async function saveImage(tensor: Tensor, path: string | URL, options: SaveImageOptions = {}): Promise<void> {
  const file = path instanceof URL ? fileURLToPath(path) : path
  const bytes = await encodeImage(tensor, options.format ?? formatOf(file), options)
  try {
    await replaceFile(file, bytes)
  } catch (error) {
    throw unwritable(file, error as NodeJS.ErrnoException)
  }
}

function formatOf(file: string): ImageFormat {
  const extension = extname(file).slice(1).toLowerCase()
  if (extension === '') return 'png'
  const format = { jpg: 'jpeg', tif: 'tiff' }[extension] ?? extension
  if ((imageFormats as readonly string[]).includes(format)) return format as ImageFormat
  throw new GradCamError(
    'ERR_IMAGE_WRITE',
    `'${file}' ends in .${extension}, which is no image that can be written. ` +
      `Use .${imageFormats.join(', .')}, or name the option format.`,
  )
}

function unwritable(file: string, cause: NodeJS.ErrnoException): GradCamError {
  const reasons: Record<string, string> = {
    ENOENT: 'its folder does not exist. Make the folder first.',
    ENOTDIR: 'a part of its path is a file, not a folder. Name another path.',
    EISDIR: 'it is a folder. Name a file in it.',
    EACCES: 'you may not write there. Name another folder, or change its permissions.',
    EPERM: 'you may not write there. Name another folder, or change its permissions.',
    EROFS: 'its disk is read-only. Name another folder.',
    ENOSPC: 'the disk is full. Make room, or name another folder.',
  }
  const reason = reasons[cause.code ?? ''] ?? `${cause.message}.`
  return new GradCamError('ERR_IMAGE_WRITE', `The image '${file}' cannot be written: ${reason}`, { cause })
}
