import { createHash } from 'node:crypto'
import { basename, dirname, isAbsolute, join, sep } from 'node:path'
import { batchFiles, describeBatchFile, type BatchFile } from '../batch/encode.js'

/** In the folder of the results: files that are still being written. */
export const partialFolder = '.gradcam-partial'

/** Whether a folder of that name in the folder of the results holds files that are still being written. */
export function isPartialName(name: string): boolean {
  return typeof name === 'string' && name.startsWith(partialFolder) && /^[\w.-]+$/.test(name)
}

/** In the folder of the results, while a job of a queue is at work on it: what its workers know of it. */
export const queueFolder = '.gradcam-queue'

/** The other files of a job in the folder of its results. */
const ownFile = /^(manifest\.jsonl|job\.json|report\.html)(\.partial)?$/

/** The longest name of an input, in bytes, that its files begin with: most file systems allow 255 in all. */
const longestName = 200

const endings = batchFiles.map((file) => `.${describeBatchFile(file).ending}`)

/** The path of an input's file of that kind, relative to the folder of the results. */
export function fileOf(id: string, file: BatchFile): string {
  return `${stemOf(id)}.${describeBatchFile(file).ending}`
}

/** Whether a path is relative and stays below its folder, by what it says. */
export function isBelow(path: string): boolean {
  const parts = path.split(sep === '\\' ? /[/\\]/ : '/')
  return path !== '' && !isAbsolute(path) && !parts.includes('..') && !path.includes('\0')
}

/** Whether a folder of that name, with any number of ^ after it, could have the path of an input's file. */
export function isFileName(name: string): boolean {
  const bare = name.replace(/\^+$/, '')
  return endings.some((ending) => bare.endsWith(ending))
}

/** Whether the job itself uses that name in the folder of its results. */
export function isOwnName(name: string): boolean {
  return name.startsWith('.gradcam-') || ownFile.test(name)
}

/** The path that all files of an input begin with. */
function stemOf(id: string): string {
  const name = basename(id)
  // A name that happens to look like a shortened one is shortened too, so that the two differ.
  if (Buffer.byteLength(name) <= longestName && !/~[0-9a-f]{16}$/.test(name)) return id
  // A digest keeps long names apart that begin with the same characters.
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 16)
  let short = name
  while (Buffer.byteLength(short) > longestName - 17) short = short.slice(0, -1)
  return join(dirname(id), `${short.replace(/[\uD800-\uDBFF]$/, '')}~${digest}`)
}
