import { lstat, stat } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { digest, digestFile } from '../base/digest.js'
import { BucketFolder, type ObjectFacts } from '../storage/bucket-folder.js'
import { folderUrl, isObjectUrl, objectUrl, readObjectUrl } from '../storage/object-url.js'
import type { FileDigest, JobResultLine } from './job-line.js'

/**
 * Whether the files that a line tells of have changed: a result that is missing or has another size, or an input with other
 * bytes. An input is read where its size is the same and its time is not. `verify` reads all of them.
 *
 * Of objects of a storage the same is looked at.
 *
 * An input that does not exist any more has not changed: its result stays. What version 0.1.0 wrote tells no sizes; there a
 * result must not be empty, and an input is compared by its digest with `verify` alone.
 */
export async function isStale(folder: string, line: JobResultLine, verify: boolean): Promise<boolean> {
  const results = Object.entries(line.files).map(([kind, file]) =>
    isWhole(
      isObjectUrl(folder) ? `${folderUrl(folder)}${file}` : join(folder, file),
      line.digests?.[kind] ?? null,
      verify,
    ),
  )
  return !(await Promise.all(results)).every(Boolean) || (await hasChanged(line, verify))
}

async function isWhole(file: string, written: FileDigest | null, verify: boolean): Promise<boolean> {
  const found = await factsOf(file, lstat)
  if (!found) return false
  if (!written) return found.bytes > 0
  if (found.bytes !== written.bytes) return false
  return !verify || (await digestOf(file)) === written.sha256
}

async function hasChanged({ input, sha256, inputFile }: JobResultLine, verify: boolean): Promise<boolean> {
  // The name of an input that is not a file, such as the key of an object, may by chance be that of one.
  if (sha256 === null || !(inputFile || (verify && isAbsolute(input)))) return false
  const found = await factsOf(input, stat)
  if (!found) return false
  if (inputFile && found.bytes !== inputFile.bytes) return true
  if (inputFile && found.modified === inputFile.modified && !verify) return false
  const now = await digestOf(input)
  return now !== null && now !== sha256
}

/** Null for what is not there, or not a file. */
async function factsOf(path: string, look: typeof stat): Promise<ObjectFacts | null> {
  if (isObjectUrl(path)) return await inBucket(path, (folder, key) => folder.look(key))
  const found = await look(path).catch(() => null)
  return found?.isFile() ? { bytes: found.size, modified: found.mtimeMs } : null
}

function inBucket<Answer>(url: string, ask: (folder: BucketFolder, key: string) => Promise<Answer>): Promise<Answer> {
  const { bucket, key } = readObjectUrl(url)
  return ask(new BucketFolder(objectUrl({ bucket, key: '' })), key)
}

/** Null for a file that cannot be read: a result is then made again, an input was not shown to have changed. */
async function digestOf(file: string): Promise<string | null> {
  if (!isObjectUrl(file)) return await digestFile(file).catch(() => null)
  const found = await inBucket(file, (folder, key) => folder.read(key))
  return found && (await digest(found.content))
}
