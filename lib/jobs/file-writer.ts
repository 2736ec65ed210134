import { mkdir, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { GradCamError } from '../base/errors.js'
import { makeFolder } from '../base/make-folder.js'
import { partialFolder } from './entry-id.js'

const reasons: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full. Make room',
  EDQUOT: 'your share of the disk is used up. Make room',
  EFBIG: "it is larger than a file may be (ulimit -f, or the disk's format). Raise that",
  EROFS: 'its disk is read-only. Name another folder',
  EIO: 'its disk fails. Name another folder',
  EACCES: 'you may not write there. Change its permissions',
  EPERM: 'you may not write there. Change its permissions',
  EEXIST: 'a file is where a folder should be. Name another folder',
  ENOTDIR: 'a file is where a folder should be. Name another folder',
  ENAMETOOLONG: 'its name is too long. Name a folder with a shorter path',
}

/** Failures of a disk, which the next file will meet too: the job ends, to be resumed. */
const fatal = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EIO', 'EMFILE', 'ENFILE'])

/** Whether an error says that no file at all can be written any more. */
export function isDiskFailure(error: unknown): boolean {
  const cause = error instanceof Error ? (error.cause as NodeJS.ErrnoException | undefined) : undefined
  return error instanceof GradCamError && error.code === 'ERR_IMAGE_WRITE' && fatal.has(cause?.code ?? '')
}

/**
 * Writes files whole or not at all, even where the process or the machine dies: each is written under another name, its
 * bytes brought to the disk, and then renamed. What a death leaves behind lies in a folder of its own.
 */
export class FileWriter {
  readonly #partial: string
  readonly #folders = new Set<string>()
  #count = 0

  constructor(private readonly folder: string) {
    this.#partial = join(folder, partialFolder)
  }

  /** Makes the folder, and throws away what an earlier process left half-written. */
  async start(): Promise<void> {
    await makeFolder(this.folder)
    await rm(this.#partial, { recursive: true, force: true })
    await mkdir(this.#partial).catch((error: unknown) => {
      throw unwritable(this.#partial, error as NodeJS.ErrnoException)
    })
  }

  /** @param file relative to the folder */
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

  async end(): Promise<void> {
    await rm(this.#partial, { recursive: true, force: true })
  }

  async #makeFolder(folder: string): Promise<void> {
    if (this.#folders.has(folder)) return
    await mkdir(folder, { recursive: true })
    this.#folders.add(folder)
  }
}

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
