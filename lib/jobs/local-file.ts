import { digestFile } from '../base/digest.js'
import { GradCamError } from '../base/errors.js'
import { fetchObject, objectCacheFolder } from '../storage/object-file.js'
import { isObjectUrl } from '../storage/object-url.js'

/**
 * A model file, or another input of a model, as LibTorch can open it: the path itself, or for s3://bucket/key that of a copy in
 * the cache, which is fetched where it is not there.
 *
 * @param what for errors, e.g. 'model'
 * @throws GradCamError ERR_FILE_NOT_FOUND, ERR_FILE_UNREADABLE, ERR_STORAGE
 */
export async function localFile(path: string, what: string, cache: string = objectCacheFolder()): Promise<string> {
  return isObjectUrl(path) ? (await fetched(path, what, cache)).path : path
}

/** The SHA-256 digest of the bytes. Throws as {@link localFile} does. */
export async function digestOfFile(path: string, what: string, cache: string = objectCacheFolder()): Promise<string> {
  if (isObjectUrl(path)) return (await fetched(path, what, cache)).sha256
  return await digestFile(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') throw missing(path, what, cause)
    throw new GradCamError(
      'ERR_FILE_UNREADABLE',
      `The ${what} '${path}' cannot be read (${cause.code ?? cause.message}).`,
      { remedy: 'Check its path and permissions.', cause },
    )
  })
}

async function fetched(url: string, what: string, cache: string) {
  const found = await fetchObject(url, cache).catch((cause: unknown) => {
    if (cause instanceof GradCamError) throw cause
    const { code, message } = cause as NodeJS.ErrnoException
    throw new GradCamError('ERR_FILE_UNREADABLE', `'${url}' cannot be kept in ${cache} (${code ?? message}).`, {
      remedy: 'Name a folder with space that this process may write to, as the cache of models.',
      cause,
    })
  })
  if (!found) throw missing(url, what)
  return found
}

function missing(path: string, what: string, cause?: unknown): GradCamError {
  return new GradCamError('ERR_FILE_NOT_FOUND', `The ${what} '${path}' does not exist.`, {
    remedy: 'Check its path.',
    ...(cause !== undefined && { cause }),
  })
}
