import { realpath, stat } from 'node:fs/promises'
import { basename, dirname, relative, resolve } from 'node:path'
import { glob, isDynamicPattern } from 'tinyglobby'
import { GradCamError } from '../base/errors.js'
import { usageError } from '../cli/arguments.js'
import { commonFolder, entryId, leadsOut, type Entry } from './entry-id.js'
import { isListName, readList } from './read-list.js'
import { walk } from './walk-folder.js'

/** What one SOURCE of the command line turned out to be. */
type Source =
  | { readonly kind: 'list'; readonly path: string }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'glob'; readonly path: string; readonly paths: readonly string[] }

/** An input, with what it is called in the job. */
export interface NamedEntry extends Entry {
  readonly id: string
}

/** Where a job's inputs come from. */
export class Sources {
  private constructor(
    private readonly sources: readonly Source[],
    /** What the inputs' names are relative to. */
    readonly base: string,
    private readonly labels: readonly string[] | null,
    private readonly out: string,
  ) {}

  /**
   * Finds out what each SOURCE is. A path that does not exist and is no pattern is an input that fails.
   *
   * @param out the folder of the results; it exists
   */
  static async read(given: readonly string[], labels: readonly string[] | null, out: string): Promise<Sources> {
    const sources = await Promise.all(given.map(sourceOf))
    const folders = sources.flatMap((source) => {
      if (source.kind === 'list') return [process.cwd()]
      return [source.kind === 'file' ? dirname(source.path) : source.path]
    })
    for (const source of sources)
      if (source.kind === 'folder' || source.kind === 'glob') await refuseWithin(source.path, out)
    return new Sources(sources, commonFolder(folders), labels, resolve(out))
  }

  /** Whether the inputs can be listed a second time, to count them. */
  get repeatable(): boolean {
    return !this.sources.some((source) => source.kind === 'list' && source.path === '-')
  }

  /** All inputs, each once. */
  async *entries(): AsyncGenerator<NamedEntry, undefined> {
    const seen = new Set<string>()
    for (const source of this.sources) {
      for await (const entry of this.#of(source)) {
        const id = entryId(entry, this.base)
        if (seen.has(id)) continue
        seen.add(id)
        yield { ...entry, id }
      }
    }
  }

  async count(): Promise<number> {
    let count = 0
    for await (const _ of this.entries()) count++
    return count
  }

  async *#of(source: Source): AsyncGenerator<Entry, undefined> {
    if (source.kind === 'list') yield* readList(source.path, this.labels)
    else if (source.kind === 'folder') yield* walk(source.path, this.out)
    else if (source.kind === 'file') yield { path: source.path }
    else for (const path of source.paths) if (!path.startsWith(`${this.out}/`)) yield { path }
  }
}

async function sourceOf(given: string): Promise<Source> {
  if (given === '-') return { kind: 'list', path: '-' }
  const path = resolve(given)
  const found = await stat(path).catch(() => null)
  if (found?.isDirectory()) return { kind: 'folder', path }
  if (/\.(csv|json)$/i.test(given))
    throw usageError(
      `'${given}' is no list. Write a path a line (.txt), a path, a tab and a target (.tsv), or JSON Lines.`,
    )
  if (found) return isListName(path) ? { kind: 'list', path: given } : { kind: 'file', path }
  if (!isDynamicPattern(given)) {
    if (!isListName(path)) return { kind: 'file', path }
    throw new GradCamError('ERR_FILE_NOT_FOUND', `The list '${given}' does not exist.`)
  }
  const paths = await glob(given, { absolute: true, expandDirectories: false, onlyFiles: true })
  if (paths.length === 0) throw new GradCamError('ERR_FILE_NOT_FOUND', `Nothing matches '${given}'.`)
  return { kind: 'glob', path: fixedPart(given), paths: paths.map((one) => resolve(one)).sort() }
}

/** The folder that a pattern names before its first wildcard: what matches may change, but not this. */
function fixedPart(pattern: string): string {
  const segments = pattern.split('/')
  const wild = segments.findIndex((segment) => isDynamicPattern(segment))
  return resolve(segments.slice(0, wild < 0 ? -1 : wild).join('/') || (pattern.startsWith('/') ? '/' : '.'))
}

/** A folder whose images lie among the results has no end: each run would find the last one's. */
async function refuseWithin(folder: string, out: string): Promise<void> {
  const real = await realpath(folder)
  const below = relative(await realpath(out), real)
  if (leadsOut(below)) return
  throw usageError(
    `--out '${out}' is ${below === '' ? '' : 'above '}the folder of the images, so that results would be taken for images. ` +
      `Name a folder of its own, e.g. --out ${basename(real)}-maps.`,
  )
}
