import { createHash } from 'node:crypto'
import { basename, dirname, join } from 'node:path'
import { batchFiles, extensionOf, type BatchFile } from '../batch/encode.js'

/** The longest name of an input, in bytes, that its files may begin with: most file systems take 255 in all. */
const longestName = 200

/** 'a.jpg.overlay.png' rather than 'a.jpg.overlay-png.png'; 'a.jpg.map.npy' rather than 'a.jpg.npy.npy'. */
const kinds: Partial<Record<BatchFile, string>> = { 'overlay-png': 'overlay', png16: 'grey16', npy: 'map' }

const endings = batchFiles.map((file) => `.${kinds[file] ?? file}.${extensionOf(file)}`)

/** What an input's files of that kind are called, relative to the folder of the results. */
export function fileOf(id: string, file: BatchFile): string {
  return `${stemOf(id)}${endings[batchFiles.indexOf(file)]}`
}

/** Whether a folder of that name, with any number of ^ behind it, could stand in the place of an input's file. */
export function isFileName(name: string): boolean {
  const bare = name.replace(/\^+$/, '')
  return endings.some((ending) => bare.endsWith(ending))
}

/** The path, without what tells the kind, of the files that belong to an input. */
function stemOf(id: string): string {
  const name = basename(id)
  // A name that happens to look like a shortened one is made longer, so that it is not taken for it.
  if (Buffer.byteLength(name) <= longestName && !/~[0-9a-f]{16}$/.test(name)) return id
  // A digest keeps names apart that are the same as far as they fit.
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 16)
  let short = name
  while (Buffer.byteLength(short) > longestName - 17) short = short.slice(0, -1)
  return join(dirname(id), `${short.replace(/[\uD800-\uDBFF]$/, '')}~${digest}`)
}
