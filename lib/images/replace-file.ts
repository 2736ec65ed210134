import { randomUUID } from 'node:crypto'
import { realpath, rename, rm, stat, writeFile } from 'node:fs/promises'

/** Writes a file, or replaces the one of that path: written beside it under another name, then renamed. */
export async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  // A link stays a link: what it points to is replaced.
  const target = await realpath(path).catch(() => path)
  const old = await stat(target).catch(() => null)
  // A device or a pipe, such as /dev/stdout, is written to; the system refuses a folder.
  if (old && !old.isFile()) return writeFile(target, bytes)
  const partial = `${target}.${randomUUID()}.partial`
  try {
    await writeFile(partial, bytes, { flag: 'wx', mode: old ? old.mode & 0o777 : 0o666 })
    await rename(partial, target)
  } catch (error) {
    await rm(partial, { force: true })
    throw error
  }
}
