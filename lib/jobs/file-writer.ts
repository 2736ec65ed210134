import { mkdir, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { isInstance } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { makeFolder } from '../base/make-folder.js'
import { partialFolder } from './file-names.js'

const reasons: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full. Free some space',
  EDQUOT: 'your quota of the disk is used up. Free some space',
  EFBIG: "it is larger than the limit for files (ulimit -f, or that of the disk's format). Raise the limit",
  EROFS: 'its disk is read-only. Choose another folder',
  EIO: 'its disk fails. Choose another folder',
  EACCES: 'you do not have permission to write there. Change its permissions',
  EPERM: 'you do not have permission to write there. Change its permissions',
  EEXIST: 'a file has the path of a folder. Choose another folder',
  ENOTDIR: 'a file has the path of a folder. Choose another folder',
  ENAMETOOLONG: 'its name is too long. Choose a folder with a shorter path',
}

/** Failures of a disk: every other file would meet them too. */
const fatal = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EIO', 'EMFILE', 'ENFILE'])

/** Whether an error means that no file can be written any more, e.g. because the disk is full. */
export function isDiskFailure(error: unknown): boolean {
  if (!isInstance(error, GradCamError) || error.code !== 'ERR_IMAGE_WRITE') return false
  return fatal.has((error.cause as NodeJS.ErrnoException | undefined)?.code ?? '')
}

/**
 * Writes each file completely or not at all, even where the process or the machine dies: it is written under another name,
 * synchronised to the disk, and then renamed. Incomplete files stay in a folder of their own.
 */
export class FileWriter {
  readonly #partial: string
  readonly #folders = new Set<string>()
  #count = 0

  constructor(private readonly folder: string) {
    this.#partial = join(folder, partialFolder)
  }

  /** Makes the folder, and removes the incomplete files of an earlier process. */
  async start(): Promise<void> {
    await makeFolder(this.folder)
    await rm(this.#partial, { recursive: true, force: true })
    await mkdir(this.#partial).catch((error: unknown) => {
      throw unwritable(this.#partial, error as NodeJS.ErrnoException)
    })
  }

  /**
   * @param file relative to the folder
   * @throws GradCamError ERR_IMAGE_WRITE
   */
  async write(file: string, bytes: Uint8Array): Promise<void> {
    const partial = join(this.#partial, String(this.#count++))
    const path = join(this.folder, file)
    try {
      await this.#makeFolder(dirname(path))
      const handle = await open(partial, 'w')
      try {
        await handle.writeFile(bytes)
        await handle.datasync()
      } finally {
        await handle.close()
      }
      await rename(partial, path)
    } catch (error) {
      await rm(partial, { force: true }).catch(() => {})
      throw unwritable(path, error as NodeJS.ErrnoException)
    }
  }

  /** Removes the folder of incomplete files. */
  async end(): Promise<void> {
    await rm(this.#partial, { recursive: true, force: true })
  }

  async #makeFolder(folder: string): Promise<void> {
    if (this.#folders.has(folder)) return
    await mkdir(folder, { recursive: true })
    this.#folders.add(folder)
  }
}

/** The error for a file that cannot be written, with the reason and what to do about it. */
export function unwritable(path: string, cause: NodeJS.ErrnoException): GradCamError {
  const reason = reasons[cause.code ?? ''] ?? cause.message
  return new GradCamError(
    'ERR_IMAGE_WRITE',
    `'${basename(path)}' cannot be written to '${dirname(path)}': ${reason}.`,
    {
      cause,
    },
  )
}
