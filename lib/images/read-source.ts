import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { cancellable, type CallOptions } from '../addon/abort.js'
import { GradCamError } from '../base/errors.js'

/** Where an image comes from: a path, a `file:` URL, or the bytes of its file. */
export type ImageSource = string | URL | Uint8Array

/** What an error calls the source. */
export function sourceName(source: ImageSource): string {
  return source instanceof Uint8Array ? `The image (${source.byteLength} bytes)` : `'${String(source)}'`
}

/**
 * The bytes of the file, in memory of their own: those that were given may be changed or transferred while threads read.
 *
 * Throws ERR_IMAGE_NOT_FOUND, ERR_IMAGE_UNREADABLE, ERR_INVALID_ARGUMENT.
 */
export async function readSource(source: ImageSource, { signal }: CallOptions): Promise<Uint8Array> {
  if (source instanceof Uint8Array) return Buffer.from(source)
  const path = pathOf(source)
  try {
    // sharp could read the file itself, but its errors do not tell a missing file from a forbidden one.
    return await cancellable(signal, () => readFile(path))
  } catch (error) {
    if (signal?.aborted) throw error
    throw unreadable(path, error as NodeJS.ErrnoException)
  }
}

function pathOf(source: string | URL): string {
  if (typeof source !== 'string' && !(source instanceof URL))
    throw new GradCamError(
      'ERR_INVALID_ARGUMENT',
      `An image is given as a path, a file: URL or a Uint8Array, not as ${source === null ? 'null' : typeof source}.`,
    )
  const scheme = /^(https?|data):/i.exec(String(source))?.[1]
  if (scheme)
    throw new GradCamError(
      'ERR_INVALID_ARGUMENT',
      `loadImage does not fetch ${scheme}: addresses. Pass the bytes: ` +
        `loadImage(new Uint8Array(await (await fetch(address)).arrayBuffer())).`,
    )
  if (typeof source === 'string' && !source.startsWith('file:')) return source
  try {
    return fileURLToPath(source)
  } catch (cause) {
    throw new GradCamError('ERR_INVALID_ARGUMENT', `${String(source)} names no file: give a path or a file: URL.`, {
      cause,
    })
  }
}

function unreadable(path: string, cause: NodeJS.ErrnoException): GradCamError {
  if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR')
    return new GradCamError(
      'ERR_IMAGE_NOT_FOUND',
      `There is no image '${path}'. Check the path; a relative one starts at ${process.cwd()}.`,
      { cause },
    )
  const reason =
    cause.code === 'EISDIR'
      ? 'it is a folder. Name a file in it.'
      : cause.code === 'EACCES' || cause.code === 'EPERM'
        ? 'you may not. Change its permissions, or run as a user who may.'
        : `${cause.message}.`
  return new GradCamError('ERR_IMAGE_UNREADABLE', `The image '${path}' cannot be read: ${reason}`, { cause })
}
