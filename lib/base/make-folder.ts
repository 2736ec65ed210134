import { mkdir, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { GradCamError } from './errors.js'

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'a folder cannot be created there',
  EEXIST: 'a file has that path',
  ENOTDIR: 'a part of its path is a file',
  EACCES: 'you do not have permission to write there',
  EPERM: 'you do not have permission to write there',
  EROFS: 'its disk is read-only',
  ENOSPC: 'the disk is full',
}

/**
 * Makes a folder and the folders that it lies in, where they do not exist.
 *
 * @returns those that it made, the inner ones last
 * @throws GradCamError ERR_IMAGE_WRITE
 */
export async function makeFolder(folder: string): Promise<string[]> {
  return await make(resolve(folder)).catch((cause: NodeJS.ErrnoException) => {
    const why = reasons[cause.code ?? ''] ?? cause.message
    throw new GradCamError('ERR_IMAGE_WRITE', `The folder '${folder}' cannot be made: ${why}. Choose another folder.`, {
      cause,
    })
  })
}

/** Not mkdir's own `recursive`, which never ends where a file system refuses with ENOENT, as /proc does. */
async function make(folder: string): Promise<string[]> {
  if (await isFolder(folder)) return []
  const made = dirname(folder) === folder ? [] : await make(dirname(folder))
  try {
    await mkdir(folder)
    return [...made, folder]
  } catch (error) {
    if (await isFolder(folder)) return made // another process was faster
    throw error
  }
}

async function isFolder(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}
