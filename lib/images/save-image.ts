import { extname } from 'node:path'
import { expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { writeWhole } from '../base/write-file.js'
import type { Tensor } from '../tensor/tensor.js'
import { encodeImage, imageFormats, type EncodeOptions, type ImageFormat } from './encode-image.js'
import { replaceFile } from './replace-file.js'

/** How {@link saveImage} writes. */
export interface SaveImageOptions extends EncodeOptions {
  /** By default the one of the path's extension, and png where it has none. */
  format?: ImageFormat
}

/**
 * Writes an image or map to a file, whole or not at all: a reader of the path sees the old file or the new one.
 *
 * @param tensor [1, C, H, W], [C, H, W] or [H, W] in [0, 1], C is 1 or 3; see {@link encodeImage}
 * @param path ending in .png, .jpg, .jpeg, .webp, .avif, .tif, .tiff, .gif, or nothing
 * @throws GradCamError ERR_IMAGE_WRITE, ERR_SHAPE, ERR_DTYPE, ERR_INVALID_ARGUMENT
 */
export async function saveImage(tensor: Tensor, path: string | URL, options: SaveImageOptions = {}): Promise<void> {
  expect.options(options)
  const file = expect.path('path', path)
  await write(file, await encodeImage(tensor, options.format ?? formatOf(file), options), replaceFile)
}

/** Writes an image that is encoded, to a path whose name the package chose: a link that has it is replaced, and not followed. */
export async function saveEncoded(bytes: Uint8Array, file: string): Promise<void> {
  await write(file, bytes, writeWhole)
}

async function write(
  file: string,
  bytes: Uint8Array,
  how: (file: string, bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  await how(file, bytes).catch((error: NodeJS.ErrnoException) => {
    throw unwritable(file, error)
  })
}

function formatOf(file: string): ImageFormat {
  const extension = extname(file).slice(1).toLowerCase()
  if (extension === '') return 'png'
  const format = { jpg: 'jpeg', tif: 'tiff' }[extension] ?? extension
  if ((imageFormats as readonly string[]).includes(format)) return format as ImageFormat
  throw new GradCamError(
    'ERR_IMAGE_WRITE',
    `'${file}' ends in .${extension}, which is not an image format that can be written.`,
    { remedy: `Use .${imageFormats.join(', .')}, or give the option format.`, details: { file } },
  )
}

/** What each error of the system means, and what to do about it. */
const reasons: Record<string, readonly [reason: string, remedy: string]> = {
  ENOENT: ['its folder does not exist.', 'Make the folder first.'],
  ENOTDIR: ['a part of its path is a file, not a folder.', 'Name another path.'],
  EISDIR: ['it is a folder.', 'Name a file in it.'],
  EACCES: ['you may not write there.', 'Name another folder, or change its permissions.'],
  EPERM: ['you may not write there.', 'Name another folder, or change its permissions.'],
  EROFS: ['its disk is read-only.', 'Name another folder.'],
  ENOSPC: ['the disk is full.', 'Free some space, or name another folder.'],
}

function unwritable(file: string, cause: NodeJS.ErrnoException): GradCamError {
  const [reason, remedy] = reasons[cause.code ?? ''] ?? [`${cause.message}.`, undefined]
  const details = { file, system: cause.code }
  return new GradCamError('ERR_IMAGE_WRITE', `The image '${file}' cannot be written: ${reason}`, {
    remedy,
    details,
    cause,
  })
}
