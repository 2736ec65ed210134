import { createHash } from 'node:crypto'
import { basename, dirname, isAbsolute, join, relative, sep } from 'node:path'
import type { BatchTarget } from '../../batch/target.js'

/** One input that a source names. */
export interface Entry {
  /** As it is opened. */
  readonly path: string
  /** Where the source gave one of its own. */
  readonly target?: BatchTarget
  /** Set where it is known before anything is opened that this is no input, e.g. a list's line that cannot be read. */
  readonly error?: Error
}

/** Below the folder of the results: what is still being written. */
export const partialFolder = '.gradcam-partial'

/** The longest name of an input, in bytes, that its files may begin with: most file systems take 255 in all. */
const longestName = 200

/**
 * Names an input within a job: its path below `base`, with a target of its own behind an @. Two inputs never have the same
 * name, and none leads out of a folder: what does not lie below `base` is put below a folder named ^, by its whole path.
 */
export function entryId({ path, target }: Entry, base: string): string {
  const below = relative(base, path)
  const outside = below === '..' || below.startsWith(`..${sep}`) || isAbsolute(below)
  const inside = below.startsWith('^') || below.startsWith(partialFolder) ? `^${below}` : below
  const place = outside ? join('^', path.replace(/^[/\\]+|:/g, '')) : inside || basename(path)
  // An input that happens to end as a target does must not be taken for one.
  const name = place.replace(/@(\d+|argmax|[a-z]+-[0-9a-f]{12})@*$/, '$&@')
  return (target === undefined ? name : `${name}@${nameOf(target)}`).replaceAll('\\', '/')
}

/** A target in a name; of plain data the kind and a digest. */
function nameOf(target: BatchTarget): string {
  if (typeof target !== 'object') return String(target)
  return `${target.kind}-${createHash('sha256').update(JSON.stringify(target)).digest('hex').slice(0, 12)}`
}

/** The path, without extension, of the files that belong to an input. */
export function filesStem(id: string): string {
  const name = basename(id)
  if (Buffer.byteLength(name) <= longestName) return id
  // A digest keeps names apart that are the same as far as they fit.
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 16)
  let short = name
  while (Buffer.byteLength(short) > longestName - 17) short = short.slice(0, -1)
  return join(dirname(id), `${short.replace(/[\uD800-\uDBFF]$/, '')}~${digest}`)
}

/** The deepest folder that all the given folders lie in. */
export function commonFolder(folders: readonly string[]): string {
  let common = folders[0] ?? process.cwd()
  for (const folder of folders)
    while (folder !== common && !folder.startsWith(common.endsWith(sep) ? common : common + sep))
      common = dirname(common)
  return common
}
