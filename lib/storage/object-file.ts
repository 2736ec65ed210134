import { createHash } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { mkdir, readdir, rename, rm, utimes } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { cacheFolder } from '../base/cache-folder.js'
import { digestFile } from '../base/digest.js'
import { writeWhole } from '../base/write-file.js'
import { BucketFolder } from './bucket-folder.js'
import { objectUrl, readObjectUrl } from './object-url.js'

const entryName = /^[0-9a-f]{32}-([0-9a-f]{64})$/

/** Where objects are kept that are models, where no other folder is named. */
export function objectCacheFolder(): string {
  return join(cacheFolder(), 'models')
}

/** The entries of {@link objectCacheFolder}, each a folder with one file, and what fetches that were interrupted left. */
export function cachedObjects(): string[] {
  const folder = objectCacheFolder()
  return existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : []
}

/** How often an object is fetched that is replaced again and again meanwhile. */
const attempts = 3

/**
 * The file of an object in a folder of this machine: fetched where it is not there yet, or where the storage has another one
 * by now. Its name is that of the object, for readers that go by the ending. Several processes may use the folder at a time.
 *
 * A file of the folder is `FOLDER/KEY-DIGEST/NAME`: KEY stands for the address and the storage's tag, and DIGEST is the
 * SHA-256 of the bytes, by which a file that was damaged is noticed, and is fetched again.
 *
 * @returns the path and the digest; null where the object does not exist
 * @throws GradCamError ERR_STORAGE, ERR_TOOL_MISSING; the errors of the system for the folder
 */
export async function fetchObject(
  url: string,
  folder: string,
): Promise<{ readonly path: string; readonly sha256: string } | null> {
  const { bucket, key } = readObjectUrl(url)
  const objects = new BucketFolder(objectUrl({ bucket, key: '' }))
  for (let attempt = 0; attempt < attempts; attempt++) {
    const found = await objects.look(key)
    if (!found) return null
    const prefix = createHash('sha256').update(`${url}\n${found.tag}`).digest('hex').slice(0, 32)
    const before = await findWhole(folder, prefix, posix.basename(key))
    if (before) return before
    const fetched = await fetch(objects, { key, tag: found.tag }, folder, prefix)
    if (fetched) return fetched
  }
  return null
}

/** What was fetched before, if its bytes are still those. */
async function findWhole(folder: string, prefix: string, name: string) {
  for (const entry of await readdir(folder).catch(() => [])) {
    const [, sha256] = entry.match(entryName) ?? []
    if (sha256 === undefined || !entry.startsWith(prefix)) continue
    const path = join(folder, entry, name)
    if ((await digestFile(path).catch(() => null)) === sha256) {
      const now = new Date()
      await utimes(join(folder, entry), now, now).catch(() => {}) // the folder may be read-only
      return { path, sha256 }
    }
    await rm(join(folder, entry), { recursive: true, force: true })
  }
  return null
}

/** One state of an object. */
interface Version {
  readonly key: string
  readonly tag: string
}

/** Null where the object was replaced or removed meanwhile. */
async function fetch(objects: BucketFolder, { key, tag }: Version, folder: string, prefix: string) {
  const name = posix.basename(key)
  const partial = join(folder, `.${prefix}-${process.pid}-${count++}`)
  await mkdir(partial, { recursive: true })
  try {
    let isThere = false
    await writeWhole(join(partial, name), async (file) => {
      isThere = await objects.copyTo(key, file, tag)
    })
    if (!isThere) return null
    const sha256 = await digestFile(join(partial, name))
    const whole = join(folder, `${prefix}-${sha256}`)
    // Where another process came first, its file has the same bytes.
    await rename(partial, whole).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
    })
    return { path: join(whole, name), sha256 }
  } finally {
    await rm(partial, { recursive: true, force: true })
  }
}

let count = 0
