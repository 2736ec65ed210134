import { realpath, stat, writeFile } from 'node:fs/promises'
import { writeWhole } from '../base/write-file.js'

/**
 * Writes a file, or replaces the one of that path, with its permissions: whole or not at all. For a path that the caller
 * named itself: what a link leads to is replaced, and a device or pipe is written to.
 */
export async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  // A link stays a link: what it points to is replaced.
  const target = await realpath(path).catch(() => path)
  const old = await stat(target).catch(() => null)
  // A device or a pipe, such as /dev/stdout, is written to; the system refuses a folder.
  if (old && !old.isFile()) return writeFile(target, bytes)
  await writeWhole(target, bytes, old ? { mode: old.mode & 0o777 } : {})
}
