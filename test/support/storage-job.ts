import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { BucketFolder } from '../../lib/storage/bucket-folder.js'

/** Makes an object of each file of a folder. */
export async function upload(folder: string, to: BucketFolder): Promise<void> {
  for (const one of readdirSync(folder, { recursive: true, withFileTypes: true }))
    if (one.isFile()) {
      const path = join(one.parentPath, one.name)
      await to.put(path.slice(folder.length + 1), readFileSync(path))
    }
}

/** Makes a file of each object. @returns the folder */
export async function copyOut(from: BucketFolder, folder: string): Promise<string> {
  for await (const { name } of from.list()) {
    const path = join(folder, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, (await from.read(name))?.content ?? '')
  }
  return folder
}
