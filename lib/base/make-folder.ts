import { mkdir, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { GradCamError } from './errors.js'

/** Makes a folder and what it lies in, where they are not there yet. */
export async function makeFolder(folder: string): Promise<void> {
  await make(resolve(folder)).catch((cause: NodeJS.ErrnoException) => {
    const reasons: Record<string, string> = {
      ENOENT: 'the system takes no folder there',
      EEXIST: 'a file is in its place',
      ENOTDIR: 'a part of its path is a file',
      EACCES: 'you may not write there',
      EPERM: 'you may not write there',
      EROFS: 'its disk is read-only',
      ENOSPC: 'the disk is full',
    }
    const why = reasons[cause.code ?? ''] ?? cause.message
    throw new GradCamError('ERR_IMAGE_WRITE', `The folder '${folder}' cannot be made: ${why}. Give another --out.`, {
      cause,
    })
  })
}

/** Not mkdir's own `recursive`, which never ends where a file system refuses with ENOENT, as /proc does. */
async function make(folder: string): Promise<void> {
  if (await isFolder(folder)) return
  if (dirname(folder) !== folder) await make(dirname(folder))
  await mkdir(folder).catch(async (error: unknown) => {
    if (!(await isFolder(folder))) throw error // or another process was faster
  })
}

async function isFolder(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}
