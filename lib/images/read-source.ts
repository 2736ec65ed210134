import { readFile } from 'node:fs/promises'
import { cancellable, type CallOptions } from '../addon/abort.js'
import { expect, invalid, isInstance, isRecord, show } from '../base/check.js'
import { GradCamError } from '../base/errors.js'

/** Where an image comes from: a path, a `file:` URL, or the bytes of its file. */
export type ImageSource = string | URL | Uint8Array

/** An image that is fetched when its turn comes, e.g. an object of a storage. */
export interface RemoteImage {
  /** What errors call it. */
  readonly name: string
  /** The bytes of its file, which are not changed afterwards. An error that it throws is that of the image. */
  read(): Promise<Uint8Array>
}

/** Whether a value is a {@link RemoteImage}. */
export function isRemote(source: unknown): source is RemoteImage {
  return isRecord(source) && typeof source['read'] === 'function' && typeof source['name'] === 'string'
}

/** Whether a source is read from a file, each time again. */
export function isFile(source: ImageSource | RemoteImage): boolean {
  return typeof source === 'string' || isInstance(source, URL)
}

/** The name of the source in an error. */
export function sourceName(source: ImageSource | RemoteImage): string {
  if (isRemote(source)) return `'${source.name}'`
  return source instanceof Uint8Array ? `The image (${source.byteLength} bytes)` : `'${String(source)}'`
}

/**
 * The bytes of the file, in memory of their own: those of the caller may be changed or transferred while threads read.
 *
 * Throws ERR_IMAGE_NOT_FOUND, ERR_IMAGE_UNREADABLE, ERR_INVALID_ARGUMENT.
 */
export async function readSource(source: ImageSource | RemoteImage, { signal }: CallOptions): Promise<Uint8Array> {
  if (isRemote(source)) return await cancellable(signal, () => source.read())
  if (isInstance(source, Uint8Array)) return Buffer.from(source)
  const path = pathOf(source as string | URL)
  try {
    // sharp could read the file itself, but its errors do not tell a missing file from a forbidden one.
    return await cancellable(signal, () => readFile(path))
  } catch (error) {
    if (signal?.aborted) throw error
    throw unreadable(path, error as NodeJS.ErrnoException)
  }
}

/**
 * The error for a pipe or a device: it may never give anything, or never end, and reading it cannot be stopped. Null for
 * others: a missing file and a folder have errors of their own. For paths that the caller did not name itself, such as those
 * of a list or a manifest.
 */
export function notAFile(path: string, found: { isFile(): boolean; isDirectory(): boolean }): GradCamError | null {
  if (found.isFile() || found.isDirectory()) return null
  const message = `The image '${path}' cannot be read: it is a pipe or a device. Save it to a file.`
  return new GradCamError('ERR_IMAGE_UNREADABLE', message)
}

function pathOf(source: string | URL): string {
  const expected = 'a path, a file: URL or a Uint8Array with the bytes of an image file'
  if (typeof source !== 'string' && !isInstance(source, URL)) throw invalid('source', expected, source)
  const [, scheme] = /^(https?|data):/i.exec(typeof source === 'string' ? source : show(source)) ?? []
  if (scheme)
    throw new GradCamError('ERR_INVALID_ARGUMENT', `Images are not fetched from ${scheme}: addresses.`, {
      remedy: 'Pass the bytes: loadImage(new Uint8Array(await (await fetch(address)).arrayBuffer())).',
      details: { scheme },
    })
  // The system itself refuses other strings, as a path that cannot be read.
  if (typeof source === 'string' && !source.startsWith('file:')) return source
  return expect.path('source', typeof source === 'string' ? toURL(source) : source)
}

/** A URL; what does not parse as one stays as it is. */
function toURL(text: string): string | URL {
  return URL.canParse(text) ? new URL(text) : text
}

function unreadable(path: string, cause: NodeJS.ErrnoException): GradCamError {
  const details = { path, system: cause.code }
  if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') {
    const remedy = `Check the path; a relative one starts at ${process.cwd()}.`
    return new GradCamError('ERR_IMAGE_NOT_FOUND', `The image '${path}' does not exist.`, { remedy, details, cause })
  }
  const [reason, remedy] =
    cause.code === 'EISDIR'
      ? ['it is a folder.', 'Name a file in it.']
      : cause.code === 'EACCES' || cause.code === 'EPERM'
        ? ['you may not.', 'Change its permissions, or run as a user who may.']
        : [`${cause.message}.`, undefined]
  const problem = `The image '${path}' cannot be read: ${reason}`
  return new GradCamError('ERR_IMAGE_UNREADABLE', problem, { remedy, details, cause })
}
