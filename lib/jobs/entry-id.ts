import { createHash } from 'node:crypto'
import { basename, dirname, isAbsolute, relative, sep } from 'node:path'
import type { BatchTarget } from '../batch/target.js'
import { isFileName } from './file-names.js'

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

/** What else a job has in the folder of its results: a folder of inputs of that name would be in its way. */
const ownFile = /^(manifest\.jsonl|job\.json|report\.html)(\.partial)?$/

/**
 * Names an input within a job: its path below `base`, with a target of its own behind an @. Two inputs never have the same
 * name, and none leads out of a folder: what does not lie below `base` is put below a folder named ^, by its whole path.
 * No folder in a name has that of another input's file, or of one of the job's own: a ^ is put to it.
 */
export function entryId({ path, target }: Entry, base: string): string {
  const below = relative(base, path)
  const outside = leadsOut(below)
  const place = (outside ? wholePath(path) : below || basename(path)).split(sep)
  const name = place.pop() as string
  const folders = place.map((folder) => (isFileName(folder) ? `${folder}^` : folder))
  const [top = name] = folders
  const taken = top.startsWith('^') || top.startsWith('.gradcam-') || (folders.length > 0 && ownFile.test(top))
  // An input that happens to end as a target does must not be taken for one.
  const last = name.replace(/@(\d+|argmax|[a-z]+-[0-9a-f]{12})@*$/, '$&@')
  const escape = outside ? '^/' : taken ? '^' : ''
  return `${escape}${[...folders, target === undefined ? last : `${last}@${nameOf(target)}`].join('/')}`
}

/** Whether a path relative to a folder, as path.relative gives it, lies elsewhere. */
export function leadsOut(below: string): boolean {
  return below === '..' || below.startsWith(`..${sep}`) || isAbsolute(below)
}

/** A target in a name; of plain data the kind and a digest. */
function nameOf(target: BatchTarget): string {
  if (typeof target !== 'object') return String(target)
  return `${target.kind}-${createHash('sha256').update(JSON.stringify(target)).digest('hex').slice(0, 12)}`
}

/** An absolute path as one that can be put below a folder. Elsewhere than on Windows a colon is part of a name. */
function wholePath(path: string): string {
  return sep === '\\' ? path.replace(/^\\+|:/g, '') : path.replace(/^\/+/, '')
}

/** The deepest folder that all the given folders lie in. */
export function commonFolder(folders: readonly string[]): string {
  let common = folders[0] ?? process.cwd()
  for (const folder of folders)
    while (folder !== common && !folder.startsWith(common.endsWith(sep) ? common : common + sep))
      common = dirname(common)
  return common
}
