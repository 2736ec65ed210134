import type { Dirent } from 'node:fs'
import { readdir, realpath, stat } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { GradCamError } from '../base/errors.js'
import type { Entry } from './entry-id.js'

/** What an image in a folder ends in; other files there are no inputs. */
export const imageExtensions = '.jpg .jpeg .jpe .jfif .png .webp .avif .gif .tif .tiff .svg'.split(' ')

export function isImageName(path: string): boolean {
  return imageExtensions.includes(extname(path).toLowerCase())
}

/**
 * Every image in a folder and in the folders in it, in the order of their names. Links are followed, but no folder is read
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
  let unnamed: ReadonlyMap<string, Entry> = new Map()
  try {
    const real = await realpath(folder)
    if (real === state.skip || state.seen.has(real)) return
    state.seen.add(real)
    children = await readdir(folder, { withFileTypes: true })
    if (children.some(({ name }) => name.includes('\uFFFD'))) unnamed = await unnameable(folder)
  } catch (cause) {
    yield { path: folder, error: unreadable(folder, cause as NodeJS.ErrnoException) }
    return
  }
  children.sort((a, b) => (a.name < b.name ? -1 : 1))
  yield* unnamed.values()
  for (const child of children) {
    if (unnamed.has(child.name)) continue
    const path = join(folder, child.name)
    // What a link points to, or what the file system does not tell. A link to nothing is an image that is missing.
    const kind =
      child.isSymbolicLink() || !(child.isFile() || child.isDirectory()) ? await stat(path).catch(() => null) : child
    if (kind?.isDirectory()) yield* walkFolder(path, state)
    else if (isImageName(child.name) && (kind === null || kind.isFile())) yield { path }
  }
}

/**
 * Images and folders whose names are no UTF-8, as entries that fail: JavaScript cannot say such names. By what they would
 * be taken for, which several may share.
 */
async function unnameable(folder: string): Promise<ReadonlyMap<string, Entry>> {
  const entries = new Map<string, Entry>()
  for (const bytes of await readdir(folder, 'buffer')) {
    const name = bytes.toString()
    if (Buffer.from(name).equals(bytes)) continue
    const isFolder = (
      await stat(Buffer.concat([Buffer.from(join(folder, '/')), bytes])).catch(() => null)
    )?.isDirectory()
    if (!isFolder && !isImageName(name)) continue
    const shown = bytes.toString('latin1').replace(/[\x80-\xff]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16)}`)
    const message = `The name of '${join(folder, shown)}' is not in UTF-8, so it cannot be opened. Rename it.`
    const entry = { path: join(folder, shown), error: new GradCamError('ERR_FILE_UNREADABLE', message) }
    entries.set(entries.has(name) ? `${name}/${shown}` : name, entry)
  }
  return entries
}

function unreadable(folder: string, cause: NodeJS.ErrnoException): GradCamError {
  const reason =
    cause.code === 'EACCES' || cause.code === 'EPERM'
      ? 'you may not. Change its permissions, or run as a user who may'
      : cause.message
  return new GradCamError('ERR_FILE_UNREADABLE', `The folder '${folder}' cannot be read: ${reason}.`, { cause })
}
