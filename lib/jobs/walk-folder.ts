import type { Dirent } from 'node:fs'
import { readdir, realpath, stat } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { GradCamError } from '../base/errors.js'
import type { FileEntry } from './entry-id.js'

/** The extensions of images that are read in a folder. */
export const imageExtensions =
  '.jpg .jpeg .jpe .jfif .png .webp .avif .gif .tif .tiff .svg .bmp .dib .pbm .pgm .ppm .pnm'.split(' ')

/** Of images that cannot be read: they are inputs, too, which fail by name instead of being left out. */
const otherExtensions = '.heic .heif .hif .jp2 .j2k .jpf .jpx .jpm .jxl .ico .tga .exr .dcm .dicom .psd'.split(' ')

/** What counts as an input in a folder. */
export interface WalkOptions {
  /** Whether arrays (.npy) do, besides images. */
  readonly arrays: boolean
}

/** Whether a file in a folder is an input. */
export function isInputName(path: string, { arrays }: WalkOptions): boolean {
  const extension = extname(path).toLowerCase()
  return imageExtensions.includes(extension) || otherExtensions.includes(extension) || (arrays && extension === '.npy')
}

/**
 * Every image in a folder and in all folders in it, in the order of their names. Links are followed, but no folder is read
 * twice, so that a loop of links ends. A folder that cannot be read is an entry with an error.
 *
 * @param skip a folder to leave out: that of the results
 */
export async function* walkFolder(
  folder: string,
  skip: string,
  options: WalkOptions = { arrays: false },
): AsyncGenerator<FileEntry, undefined> {
  yield* walk(folder, { skip: await realpath(skip).catch(() => skip), seen: new Set(), options })
}

async function* walk(
  folder: string,
  state: { readonly skip: string; readonly seen: Set<string>; readonly options: WalkOptions },
): AsyncGenerator<FileEntry, undefined> {
  let children: Dirent[]
  let unnamed: ReadonlyMap<string, FileEntry> = new Map()
  try {
    const real = await realpath(folder)
    if (real === state.skip || state.seen.has(real)) return
    state.seen.add(real)
    children = await readdir(folder, { withFileTypes: true })
    if (children.some(({ name }) => name.includes('\uFFFD'))) unnamed = await unnameable(folder, state.options)
  } catch (cause) {
    yield { path: folder, error: unreadable(folder, cause as NodeJS.ErrnoException) }
    return
  }
  children.sort((a, b) => (a.name < b.name ? -1 : 1))
  yield* unnamed.values()
  for (const child of children) {
    if (unnamed.has(child.name)) continue
    const path = join(folder, child.name)
    // stat() follows links, and tells the kind where the file system does not. A link to nothing is a missing image.
    const kind =
      child.isSymbolicLink() || !(child.isFile() || child.isDirectory()) ? await stat(path).catch(() => null) : child
    if (kind?.isDirectory()) yield* walk(path, state)
    else if (isInputName(child.name, state.options) && (kind === null || kind.isFile())) yield { path }
  }
}

/**
 * Images and folders whose names are not UTF-8, as entries that fail: a JavaScript string cannot represent such a name. The
 * key is the name that readdir() returns for it, which several may share.
 */
async function unnameable(folder: string, options: WalkOptions): Promise<ReadonlyMap<string, FileEntry>> {
  const entries = new Map<string, FileEntry>()
  for (const bytes of await readdir(folder, 'buffer')) {
    const name = bytes.toString()
    if (Buffer.from(name).equals(bytes)) continue
    const isFolder = (
      await stat(Buffer.concat([Buffer.from(join(folder, '/')), bytes])).catch(() => null)
    )?.isDirectory()
    if (!isFolder && !isInputName(name, options)) continue
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
      ? 'you do not have permission. Change its permissions, or run as another user'
      : cause.message
  return new GradCamError('ERR_FILE_UNREADABLE', `The folder '${folder}' cannot be read: ${reason}.`, { cause })
}
