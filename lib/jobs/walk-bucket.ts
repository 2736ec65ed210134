import { createHash } from 'node:crypto'
import { posix } from 'node:path'
import { GradCamError } from '../base/errors.js'
import { BucketFolder } from '../storage/bucket-folder.js'
import { folderUrl, isInFolder, isObjectUrl, objectUrl, readObjectUrl } from '../storage/object-url.js'
import type { FileEntry } from './entry-id.js'
import { isListName } from './read-list.js'
import { isInputName, type WalkOptions } from './walk-folder.js'

/** What an address turned out to be: an object, or a folder of objects. */
export interface Objects {
  readonly kind: 'object' | 'objects'
  readonly path: string
}

/**
 * Finds out whether an address is that of an object, or of all objects below it.
 *
 * @throws GradCamError ERR_INVALID_ARGUMENT, ERR_FILE_NOT_FOUND where it is neither, ERR_TOOL_MISSING, ERR_STORAGE
 */
export async function findObjects(url: string): Promise<Objects> {
  const { bucket, key } = readObjectUrl(url, 'source')
  const isFolder = key === '' || key.endsWith('/')
  const path = objectUrl({ bucket, key })
  if (!isFolder && (await new BucketFolder(objectUrl({ bucket, key: '' })).look(key))) {
    if (!isListName(key) && !/\.(csv|json)$/i.test(key)) return { kind: 'object', path }
    throw new GradCamError('ERR_INVALID_ARGUMENT', `'${url}' is not an image. Lists are read from files.`, {
      remedy: 'Copy it to a file: its lines may be s3:// addresses.',
    })
  }
  const folder = folderUrl(url)
  for await (const _ of new BucketFolder(folder).list()) return { kind: 'objects', path: folder }
  throw new GradCamError('ERR_FILE_NOT_FOUND', `There is no object '${path}', and none below it.`)
}

/**
 * Every image below a folder of objects, in the order of their keys, page by page: never the whole listing is in memory. A key
 * that no path could be made of is an entry with an error.
 *
 * @param skip a folder to leave out: that of the results
 */
export async function* walkBucket(
  folder: string,
  skip: string,
  options: WalkOptions,
): AsyncGenerator<FileEntry, undefined> {
  const skipped = isObjectUrl(skip) ? folderUrl(skip) : null
  for await (const { name } of new BucketFolder(folder).list()) {
    const path = `${folder}${name}`
    if (!isInputName(name, options) || (skipped !== null && isInFolder(path, skipped))) continue
    yield isPathLike(name) ? { path } : { path: `${folder}${digestOf(name)}`, error: odd(path) }
  }
}

/** Other keys could lead out of the folder of the results, or be those of other inputs: 'a/../b', 'a//b'. */
function isPathLike(name: string): boolean {
  return posix.normalize(name) === name && !name.startsWith('/') && !name.startsWith('../') && !/[\0\\]/.test(name)
}

const digestOf = (name: string): string => `odd-key-${createHash('sha256').update(name).digest('hex').slice(0, 16)}`

function odd(path: string): GradCamError {
  return new GradCamError('ERR_FILE_UNREADABLE', `The key of '${path}' is not that of a path, so it has no result.`, {
    remedy: 'Copy the object to a key without empty parts, dots that stand for folders, and backslashes.',
  })
}
