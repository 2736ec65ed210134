import type { Dirent } from 'node:fs'
import { readdir, realpath, stat } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { GradCamError } from '../../errors.js'
import type { Entry } from './entry.js'

/** What a picture in a folder ends in; other files there are no inputs. */
const extensions = new Set(
  ['jpg', 'jpeg', 'jpe', 'jfif', 'png', 'webp', 'avif', 'gif', 'tif', 'tiff', 'svg'].map((name) => `.${name}`),
)

export function isPictureName(path: string): boolean {
  return extensions.has(extname(path).toLowerCase())
}

/**
 * Every picture in a folder and in the folders in it, in the order of their names. Links are followed, but no folder is read
 * twice, so that a loop of links ends. A folder that cannot be read is an entry with an error.
 *
 * @param skip a folder to leave out: that of the results
 */
export async function* walk(folder: string, skip: string): AsyncGenerator<Entry, undefined> {
  yield* walkFolder(folder, { skip: await realpath(skip).catch(() => skip), seen: new Set() })
}

async function* walkFolder(
  folder: string,
  state: { readonly skip: string; readonly seen: Set<string> },
): AsyncGenerator<Entry, undefined> {
  let children: Dirent[]
  try {
    const real = await realpath(folder)
    if (real === state.skip || state.seen.has(real)) return
    state.seen.add(real)
    children = await readdir(folder, { withFileTypes: true })
  } catch (cause) {
    yield { path: folder, error: unreadable(folder, cause as NodeJS.ErrnoException) }
    return
  }
  children.sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const child of children) {
    const path = join(folder, child.name)
    // What a link points to, or what the file system does not tell. A link to nothing is a picture that is missing.
    const kind =
      child.isSymbolicLink() || !(child.isFile() || child.isDirectory()) ? await stat(path).catch(() => null) : child
    if (kind?.isDirectory()) yield* walkFolder(path, state)
    else if (isPictureName(child.name) && (kind === null || kind.isFile())) yield { path }
  }
}

function unreadable(folder: string, cause: NodeJS.ErrnoException): GradCamError {
  const reason =
    cause.code === 'EACCES' || cause.code === 'EPERM'
      ? 'you may not. Change its permissions, or run as a user who may'
      : cause.message
  return new GradCamError('ERR_FILE_UNREADABLE', `The folder '${folder}' cannot be read: ${reason}.`, { cause })
}
