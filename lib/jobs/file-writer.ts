import { mkdir, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { isInstance } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { makeFolder } from '../base/make-folder.js'
import { makeFoldersBelow, writeWhole } from '../base/write-file.js'
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
  ELOOP: 'a link has its path, or that of its folder, and could lead anywhere. Remove the link',
}

/** Failures of a disk: every other file would meet them too. */
const fatal = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EIO', 'EMFILE', 'ENFILE'])

/** Whether an error means that no file can be written any more, e.g. because the disk is full. */
export function isDiskFailure(error: unknown): boolean {
  if (!isInstance(error, GradCamError) || error.code !== 'ERR_IMAGE_WRITE') return false
  return fatal.has((error.cause as NodeJS.ErrnoException | undefined)?.code ?? '')
}

/** Writes each file below a folder whole or not at all. Incomplete files stay in a folder of their own. */
export class FileWriter {
  readonly #partial: string
  #count = 0

  /** @param partial the folder of incomplete files, which no other process may use */
  constructor(
    private readonly folder: string,
    partial: string = partialFolder,
  ) {
    this.#partial = join(folder, partial)
  }

  /** Makes the folder, and removes the incomplete files of an earlier process. */
  async start(): Promise<void> {
    await makeFolder(this.folder)
    try {
      await rm(this.#partial, { recursive: true, force: true })
      await mkdir(this.#partial)
    } catch (error) {
      throw unwritable(this.#partial, error as NodeJS.ErrnoException)
    }
  }

  /**
   * @param file relative to the folder
   * @throws GradCamError ERR_IMAGE_WRITE
   */
  async write(file: string, bytes: Uint8Array): Promise<void> {
    const partial = join(this.#partial, String(this.#count++))
    const path = join(this.folder, file)
    try {
      await makeFoldersBelow(this.folder, dirname(file))
      // A name that a power cut takes is a file that is missing, and is made again when the job is resumed.
      await writeWhole(path, bytes, { partial, syncFolder: false })
    } catch (error) {
      throw unwritable(path, error as NodeJS.ErrnoException)
    }
  }

  /** Removes the folder of incomplete files. */
  async end(): Promise<void> {
    await rm(this.#partial, { recursive: true, force: true })
  }
}

/** The error for a file that cannot be written, with the reason and what to do about it. An error of the package stays. */
export function unwritable(path: string, cause: NodeJS.ErrnoException): GradCamError {
  if (isInstance(cause, GradCamError)) return cause
  const reason = reasons[cause.code ?? ''] ?? cause.message
  return new GradCamError(
    'ERR_IMAGE_WRITE',
    `'${basename(path)}' cannot be written to '${dirname(path)}': ${reason}.`,
    {
      cause,
    },
  )
}
