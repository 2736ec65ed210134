import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { link, lstat, mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises'
import { dirname, join, sep } from 'node:path'

/** What the file holds: bytes, text, or a function that writes it piece by piece. */
export type Content = Uint8Array | string | ((file: FileHandle) => Promise<void>)

/** How {@link writeWhole} writes. */
export interface WriteOptions {
  /**
   * The path it has until it is whole, on the same disk. What lies there, e.g. of a process that died, is removed first: no
   * other process may use it. By default a name beside the file that no other call has.
   */
  readonly partial?: string
  /** Its permissions, of which the process's umask takes away. 0o666 by default. */
  readonly mode?: number
  /** Whether its name, too, is on the disk when the call returns. True by default; it takes as long as the bytes do. */
  readonly syncFolder?: boolean
  /**
   * False: where the path exists, nothing is written and EEXIST is thrown; of several processes that write at the same time one
   * wins. True by default.
   */
  readonly replace?: boolean
}

// Windows has no such flags: links there are made only with a privilege.
const { O_NOFOLLOW = 0, O_NONBLOCK = 0, O_DIRECTORY = 0 } = constants as Partial<typeof constants>

/**
 * Writes a file whole or not at all: a reader of the path sees what was there before, or all of it, even where the process or
 * the machine dies. Everything that the package writes for its user goes through here: a file is opened that did not exist,
 * which no link can redirect; it is filled and brought to the disk; and then it takes the path. A link that has
 * the path is replaced, not followed.
 *
 * Throws the errors of the system, and what the function throws. No file is left then.
 */
export async function writeWhole(path: string, content: Content, options: WriteOptions = {}): Promise<void> {
  const { partial = join(dirname(path), `.gradcam-${randomUUID()}.partial`), mode = 0o666 } = options
  const { syncFolder = true, replace = true } = options
  if (options.partial !== undefined) await rm(partial, { force: true })
  try {
    const file = await open(partial, 'wx', mode)
    try {
      await (typeof content === 'function' ? content(file) : file.writeFile(content))
      await file.datasync()
    } finally {
      await file.close()
    }
    await (replace ? rename(partial, path) : takeFreePath(partial, path))
  } catch (error) {
    // Not where it is another's: opened exclusively, it was there before.
    const { code, syscall } = error as NodeJS.ErrnoException
    if (code !== 'EEXIST' || syscall === 'link') await rm(partial, { force: true }).catch(() => {})
    throw error
  }
  if (syncFolder) await sync(dirname(path))
}

/** A second name for the file is made only where no file has it, unlike a new name. */
async function takeFreePath(partial: string, path: string): Promise<void> {
  await link(partial, path)
  await rm(partial)
}

/** What a system or file system says that cannot synchronise folders. */
const unsupported = new Set(['EINVAL', 'ENOTSUP', 'EISDIR', 'EPERM', 'EACCES'])

/** Brings the names in a folder to the disk. */
async function sync(folder: string): Promise<void> {
  try {
    const handle = await open(folder, constants.O_RDONLY | O_DIRECTORY)
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (!unsupported.has((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
}

/** Opens a file that exists to append to it. Throws ELOOP for a link, and EINVAL for anything else that is not a file. */
export function openToAppend(path: string): Promise<FileHandle> {
  return openRegular(path, constants.O_WRONLY | constants.O_APPEND)
}

/** Opens a file to read it. Throws ELOOP for a link, and EINVAL for anything else that is not a file: a pipe may never end. */
export function openToRead(path: string): Promise<FileHandle> {
  return openRegular(path, constants.O_RDONLY)
}

async function openRegular(path: string, flags: number): Promise<FileHandle> {
  const file = await open(path, flags | O_NOFOLLOW | O_NONBLOCK)
  try {
    if (!(await file.stat()).isFile()) throw systemError('EINVAL', `'${path}' is not a regular file`)
    return file
  } catch (error) {
    await file.close()
    throw error
  }
}

/**
 * Makes the folders of a path below a folder that exists, where they do not exist. None of them may be a link: files of a
 * job would otherwise land where somebody else chose.
 *
 * Throws ELOOP for a link, ENOTDIR for a file, and other errors of the system.
 */
export async function makeFoldersBelow(folder: string, below: string): Promise<void> {
  let path = folder
  for (const part of below.split(sep)) {
    if (part === '' || part === '.') continue
    path = join(path, part)
    await mkdir(path).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
      const found = await lstat(path)
      if (found.isSymbolicLink()) throw systemError('ELOOP', `'${path}' is a link`)
      if (!found.isDirectory()) throw systemError('ENOTDIR', `'${path}' is not a folder`)
    })
  }
}

function systemError(code: string, message: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${message}`), { code })
}
