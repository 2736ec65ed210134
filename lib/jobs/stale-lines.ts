import { lstat, stat } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { digestFile } from '../base/digest.js'
import type { FileDigest, JobResultLine } from './job-line.js'

/**
 * Whether the files that a line tells of have changed: a result that is missing or has another size, or an input with other
 * bytes. An input is read where its size is the same and its time is not. `verify` reads all of them.
 *
 * An input that does not exist any more has not changed: its result stays. What version 0.1.0 wrote tells no sizes; there a
 * result must not be empty, and an input is compared by its digest with `verify` alone.
 */
export async function isStale(folder: string, line: JobResultLine, verify: boolean): Promise<boolean> {
  const results = Object.entries(line.files).map(([kind, file]) =>
    isWhole(join(folder, file), line.digests?.[kind] ?? null, verify),
  )
  return !(await Promise.all(results)).every(Boolean) || (await hasChanged(line, verify))
}

async function isWhole(file: string, written: FileDigest | null, verify: boolean): Promise<boolean> {
  const found = await lstat(file).catch(() => null)
  if (!found?.isFile()) return false
  if (!written) return found.size > 0
  if (found.size !== written.bytes) return false
  return !verify || (await digestOf(file)) === written.sha256
}

async function hasChanged({ input, sha256, inputFile }: JobResultLine, verify: boolean): Promise<boolean> {
  // The name of an input that is not a file, such as the key of an object, may by chance be that of one.
  if (sha256 === null || !(inputFile || (verify && isAbsolute(input)))) return false
  const found = await stat(input).catch(() => null)
  if (!found?.isFile()) return false
  if (inputFile && found.size !== inputFile.bytes) return true
  if (inputFile && found.mtimeMs === inputFile.modified && !verify) return false
  const now = await digestOf(input)
  return now !== null && now !== sha256
}

/** Null for a file that cannot be read: a result is then made again, an input was not shown to have changed. */
function digestOf(file: string): Promise<string | null> {
  return digestFile(file).catch(() => null)
}
