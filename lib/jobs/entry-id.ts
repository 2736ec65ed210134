import { createHash } from 'node:crypto'
import { basename, dirname, isAbsolute, relative, sep } from 'node:path'
import type { BatchTarget } from '../batch/target.js'
import { isObjectUrl } from '../storage/object-url.js'
import { isFileName, isOwnName } from './file-names.js'

/** A file that a source of files names, before it has an id. */
export interface FileEntry {
  /** Its absolute path, or its address in a storage. */
  readonly path: string
  /** Where the source gives a target of its own. */
  readonly target?: BatchTarget
  /** Set where it is known to be invalid before it is opened, e.g. for a line of a list that cannot be read. */
  readonly error?: Error
}

/**
 * The id of a file within a job: its path below `base`, followed by an @ and its target where it has its own. Two entries
 * never have the same id, and no id leads out of a folder: the id of a file outside `base` begins with a folder named ^,
 * followed by its whole path. No folder in an id has the name of another input's file or of one of the job's own files: a ^
 * is added to such a name. An object whose base is not one of objects has an id that begins with a folder named ^s3.
 */
export function entryId({ path, target }: FileEntry, base: string): string {
  const isObject = isObjectUrl(path)
  const below = isObject ? path.slice(isObjectUrl(base) ? base.length : 's3://'.length) : relative(base, path)
  const strange = isObject && !isObjectUrl(base)
  const outside = !isObject && leadsOut(below)
  const parts = (outside ? wholePath(path) : below || basename(path)).split(isObject ? '/' : sep)
  const name = parts.pop() as string
  const folders = parts.map((folder) => (isFileName(folder) ? `${folder}^` : folder))
  const [top = name] = folders
  const taken = top.startsWith('^') || top.startsWith('.gradcam-') || (folders.length > 0 && isOwnName(top))
  // A file whose name happens to end like a target must differ from an entry with that target.
  const last = name.replace(/@(\d+|argmax|[a-z]+-[0-9a-f]{12})@*$/, '$&@')
  const escape = outside ? '^/' : strange ? '^s3/' : taken ? '^' : ''
  return `${escape}${[...folders, target === undefined ? last : `${last}@${nameOf(target)}`].join('/')}`
}

/** Whether a path relative to a folder, as path.relative returns it, lies outside that folder. */
export function leadsOut(below: string): boolean {
  return below === '..' || below.startsWith(`..${sep}`) || isAbsolute(below)
}

/** A target as part of an id; of plain data its kind and a digest. */
function nameOf(target: BatchTarget): string {
  if (typeof target !== 'object') return String(target)
  return `${target.kind}-${createHash('sha256').update(JSON.stringify(target)).digest('hex').slice(0, 12)}`
}

/** An absolute path as a relative one. Only on Windows a colon is not part of a name. */
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
